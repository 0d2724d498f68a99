"""``spec.telemetry`` of the ``Mixer`` document: who is told what the service counts and decides."""

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from mixer.config.address import check_address
from mixer.config.decision_log import DecisionLog
from mixer.config.listener_tls import ListenerTls
from mixer.config.model import Model
from mixer.config.otlp import OtlpReceiver
from mixer.config.traces import Traces
from mixer.config.units import duration_between

PushInterval = Annotated[float, BeforeValidator(duration_between("1s", "1h"))]


class MetricsEndpoint(Model):
    """Where metrics can be fetched.

    Attributes:
        address: As of a listener, for ``GET /metrics``; None has none. There is no default, since a
            second service on the machine could not have the same one, and would not start.
        tls: As of a listener; None for plaintext.
    """

    address: Annotated[str, AfterValidator(check_address)] | None = None
    tls: ListenerTls | None = None


class Otlp(OtlpReceiver):
    """Where metrics are sent by OTLP over gRPC.

    Attributes:
        interval: Seconds between two times, 1 to 3600; a duration in YAML.
    """

    interval: PushInterval = 60.0


class Telemetry(Model):
    """Who is told what the service counts and decides; nobody, unless configured.

    Attributes:
        metrics: Where metrics can be fetched.
        otlp: Where metrics are sent; None sends none, unless the environment says where.
        decision_log: Decisions, told one by one.
        traces: Which requests get spans; None gives none any.
    """

    metrics: MetricsEndpoint = MetricsEndpoint()
    otlp: Otlp | None = None
    decision_log: DecisionLog | None = None
    traces: Traces | None = None

    @model_validator(mode="after")
    def _check_receiver(self) -> Self:
        if self.traces is not None and self.traces.endpoint is None and self.otlp is None:
            raise ValueError("traces.endpoint is required where there is no otlp.endpoint")
        return self
