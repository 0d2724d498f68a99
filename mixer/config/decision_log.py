"""``spec.telemetry.decisionLog``: which decisions are told, with what, and to whom."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from mixer.config.model import Items, Model
from mixer.config.otlp import OtlpReceiver
from mixer.config.store import LocatedPath

Percent = Annotated[float, Field(ge=0, le=100, strict=False)]

_LONGEST_NAME = 128


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in names):
        raise ValueError(f"names have 1 to {_LONGEST_NAME} printable characters")
    return tuple(name.lower() for name in names)


class DecisionSampling(Model):
    """Which share of the decisions is told, in percent.

    Attributes:
        allow: Of those that let the request pass.
        deny: Of those that do not, as an adapter said.
        error: Of those that do not because an adapter failed.
        story: Of all, before they are made: with the time in each adapter, and what each looked at.
            The others are told without that.
    """

    allow: Percent = 0.0
    deny: Percent = 100.0
    error: Percent = 100.0
    story: Percent = 1.0


class Stdout(Model):
    """One line of JSON each; it has no settings."""


class LogFile(Model):
    """Lines of JSON in a file.

    Attributes:
        path: Of the file, which is made where it is not there; it is only ever appended to.
            Absolute here; in YAML absolute, or relative to the folder of the file.
    """

    path: LocatedPath


class DecisionLog(Model):
    """Decisions, told one by one; at least one of `stdout`, `file` and `otlp` takes them.

    Attributes:
        stdout: Standard output.
        file: A file.
        otlp: Log records by OTLP over gRPC.
        sampling: Which share.
        max_per_second: Decisions a second, 1 to 100000; what is more is counted.
        max_pending: Decisions that wait for one of those that take them, 1 to 1000000; as above.
        values: Whether what adapters looked at is told with its values, secrets masked.
        secrets: Headers, and keys of attributes, whose values are masked beyond those that look
            like secrets; at most 256 names, without regard to case.
    """

    stdout: Stdout | None = None
    file: LogFile | None = None
    otlp: OtlpReceiver | None = None
    sampling: DecisionSampling = DecisionSampling()
    max_per_second: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_pending: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    values: bool = False
    secrets: Annotated[Items[str], Field(max_length=256), AfterValidator(_names)] = ()

    @model_validator(mode="after")
    def _told_to_somebody(self) -> Self:
        if self.stdout is None and self.file is None and self.otlp is None:
            raise ValueError("must have at least one of stdout, file and otlp")
        return self
