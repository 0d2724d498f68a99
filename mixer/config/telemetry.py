"""``spec.telemetry`` of the ``Mixer`` document: who is told what the service counts."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from mixer.config.address import check_address
from mixer.config.listener_tls import ListenerTls
from mixer.config.model import Model, StringMap, no_strings, printable
from mixer.config.units import duration_between

PushInterval = Annotated[float, BeforeValidator(duration_between("1s", "1h"))]
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


class MetricsEndpoint(Model):
    """Where metrics can be fetched.

    Attributes:
        address: As of a listener, for ``GET /metrics``; None has none. There is no default, since a
            second service on the machine could not have the same one, and would not start.
        tls: As of a listener; None for plaintext.
    """

    address: Annotated[str, AfterValidator(check_address)] | None = None
    tls: ListenerTls | None = None


class Otlp(Model):
    """Where metrics are sent by OTLP over gRPC.

    Attributes:
        endpoint: ``http://host:port``, or ``https://host:port`` for TLS.
        interval: Seconds between two times, 1 to 3600; a duration in YAML.
        timeout: Seconds that one time may take, 0.1 to 60; a duration in YAML.
        resource_attributes: Beside those of ``OTEL_RESOURCE_ATTRIBUTES``, and before them.
    """

    endpoint: Annotated[str, AfterValidator(check_endpoint)]
    interval: PushInterval = 60.0
    timeout: PushTimeout = 10.0
    resource_attributes: StringMap = Field(default_factory=no_strings)


class Telemetry(Model):
    """Who is told what the service counts; nobody, unless configured.

    Attributes:
        metrics: Where metrics can be fetched.
        otlp: Where metrics are sent; None sends none, unless the environment says where.
    """

    metrics: MetricsEndpoint = MetricsEndpoint()
    otlp: Otlp | None = None
