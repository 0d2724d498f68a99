"""Where the counters of quotas are, how many are kept, and what holds while nobody can ask them."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from mixer.config.model import Choice, Model
from mixer.config.store import StateStore
from mixer.config.units import duration_between

MaxAge = Annotated[float, BeforeValidator(duration_between("10ms", "1m"))]


class OnUnavailable(StrEnum):
    """What is answered while the store cannot be reached."""

    LOCAL = "LOCAL"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    """Nothing: the adapter decides."""


class QuotaLease(Model):
    """What a worker takes of a counter beforehand, to answer at once.

    Attributes:
        amount: That it holds at the most, 1 to 1000000000.
        percent: The same as a share of the limit, 1 to 50.
        max_age: Seconds after which what was not used is put back, 10ms to 1m; a duration in YAML.
    """

    amount: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    percent: Annotated[int, Field(ge=1, le=50)] | None = None
    max_age: MaxAge = 1.0

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.amount is None) == (self.percent is None):
            raise ValueError("must have one of amount and percent")
        return self


class QuotaState(Model):
    """The counters that ``mixer_quota_take`` takes from.

    Attributes:
        store: Where they are; where the shared state is unless configured.
        max_counters: Counters for each ``mixer.dev/vm-id``, 1 to 10000000; not in Redis.
        on_unavailable: What is answered while the store cannot be reached.
        lease: What a worker takes beforehand; only of Redis.
    """

    store: StateStore | None = None
    max_counters: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    on_unavailable: Choice[OnUnavailable] = OnUnavailable.LOCAL
    lease: QuotaLease | None = None
