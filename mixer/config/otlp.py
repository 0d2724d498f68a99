"""Who takes OTLP: where, and how long one message may take."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from mixer.config.model import Model, StringMap, no_strings, printable
from mixer.config.units import duration_between

PushTimeout = Annotated[float, BeforeValidator(duration_between("100ms", "1m"))]


def check_endpoint(text: str) -> str:
    """Check ``http://host:port`` or ``https://host:port`` of an OTLP receiver.

    Raises:
        ValueError: It is none. The message never tells the URL, which may hold a password.
    """
    try:
        url = urlsplit(printable(text))
        port = url.port
    except ValueError as error:
        raise ValueError("must be http://host:port or https://host:port") from error
    if url.username is not None or url.password is not None:
        raise ValueError("must hold no password; OTEL_EXPORTER_OTLP_HEADERS is for credentials")
    if url.scheme not in {"http", "https"} or not url.hostname or port is None:
        raise ValueError("must be http://host:port or https://host:port")
    if url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must end after the port: OTLP over gRPC has no path")
    return f"{url.scheme}://{url.netloc}"


class OtlpReceiver(Model):
    """Who takes OTLP over gRPC.

    Attributes:
        endpoint: ``http://host:port``, or ``https://host:port`` for TLS.
        timeout: Seconds that one message may take, 0.1 to 60; a duration in YAML.
        resource_attributes: Beside those of ``OTEL_RESOURCE_ATTRIBUTES``, and before them.
    """

    endpoint: Annotated[str, AfterValidator(check_endpoint)]
    timeout: PushTimeout = 10.0
    resource_attributes: StringMap = Field(default_factory=no_strings)
