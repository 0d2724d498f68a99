"""``spec.telemetry.traces`` of the ``Mixer`` document: which requests get spans, and where to."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mixer.config.model import Model
from mixer.config.otlp import PushTimeout, check_endpoint
from mixer.config.units import duration_between

BatchInterval = Annotated[float, BeforeValidator(duration_between("100ms", "1m"))]


class Traces(Model):
    """Where spans are sent by OTLP over gRPC, and of which requests.

    Attributes:
        endpoint: ``http://host:port``, or ``https://host:port`` for TLS; None is that of metrics.
        sampling: The share of requests whose callers have not decided it, 0 to 1.
        interval: Seconds after which spans are sent, 0.1 to 60; a duration in YAML.
        timeout: Seconds that one message may take, 0.1 to 60; a duration in YAML.
    """

    endpoint: Annotated[str, AfterValidator(check_endpoint)] | None = None
    sampling: Annotated[float, Field(ge=0, le=1)] = 0.01
    interval: BatchInterval = 5.0
    timeout: PushTimeout = 10.0
