"""Entries of the ledger, for tests."""

from collections.abc import Mapping

from mixer.state.ledger import Record, record_of
from mixer.wire.ledger_pb2 import Entry, Period, Plan, Rate, Tier

TIME = 1_795_000_000_000_000_000
"""In November 2026."""


def usage(
    key: str,
    subject: str = "alice",
    quantities: Mapping[str, int] | None = None,
    *,
    plan: str = "gold",
    version: str = "1",
    time: int = TIME,
    labels: Mapping[str, str] | None = None,
) -> bytes:
    """A usage record, as an adapter enqueues it."""
    entry = Entry()
    record = entry.usage
    record.idempotency_key, record.subject, record.time_unix_nano = key, subject, time
    record.plan, record.plan_version = plan, version
    for meter, units in ({"calls": 1} if quantities is None else quantities).items():
        record.quantities.add(meter=meter, units=units)
    record.labels.update(labels or {})
    return entry.SerializeToString(deterministic=True)


def plan(
    name: str = "gold",
    version: str = "1",
    rates: Mapping[str, Rate] | None = None,
    *,
    currency: str = "EUR",
    period: Period = Period.MONTH,
) -> bytes:
    """A plan, as an adapter enqueues it."""
    found = Plan(name=name, version=version, currency=currency, period=period)
    for meter, rate in ({"calls": flat(5)} if rates is None else rates).items():
        found.rates.add().CopyFrom(rate)
        found.rates[-1].meter = meter
    return Entry(plan=found).SerializeToString(deterministic=True)


def flat(price_nanos: int, *, included: int = 0, per: int = 1) -> Rate:
    """One price for all units."""
    return Rate(included=included, per=per, tiers=[Tier(price_nanos=price_nanos)])


def records(*keys: str) -> list[Record]:
    """A usage record for each key."""
    return [record_of(usage(key)) for key in keys]
