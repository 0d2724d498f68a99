"""OpenTelemetry's libraries, imported when something is sent: that takes long."""

from collections.abc import Iterator
from contextlib import contextmanager


class OtlpLibraryError(Exception):
    """OpenTelemetry's libraries are not as they were published; the message says what to do."""


@contextmanager
def importing(field: str) -> Iterator[None]:
    """Say what is wrong with the libraries if they cannot be imported here.

    Args:
        field: Of the configuration that needs them.

    Raises:
        OtlpLibraryError: They cannot.
    """
    try:
        yield
    except ImportError as error:
        raise OtlpLibraryError(
            f"{field}: {error}. xds-protos has put an old copy over files of "
            "opentelemetry-proto: pip install --force-reinstall --no-deps opentelemetry-proto"
        ) from error
