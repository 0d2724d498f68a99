"""What may go into the ledger: an Entry within its bounds, in canonical bytes."""

from collections.abc import Sequence, Sized
from itertools import pairwise

from google.protobuf.message import DecodeError

from mixer.state.ledger.ports import Record
from mixer.wire.ledger_pb2 import Entry, Period, Plan, Rate, UsageRecord

MAX_ENTRY_BYTES = 16 << 10
MAX_NAME_BYTES = 256
MAX_METER_BYTES = 64
MAX_QUANTITIES = 32
MAX_LABELS = 32
MAX_TIERS = 64
MAX_TIME = (1 << 63) - 2
"""One less than a database holds, so that there is a time behind each."""

_SURE = MAX_NAME_BYTES // 4
"""So many characters are within the bound in bytes, whatever they are."""

_CURRENCY_LETTERS = 3
_SHOWN_BYTES = 64


class MalformedEntryError(ValueError):
    """It is no entry, or one out of bounds; the message says the field and the bound."""


def record_of(message: bytes) -> Record:
    """Read and check what a module enqueued.

    Raises:
        MalformedEntryError: It cannot be stored.
    """
    if len(message) > MAX_ENTRY_BYTES:
        raise MalformedEntryError(f"an entry has over {MAX_ENTRY_BYTES} bytes")
    entry = read_entry(message)
    key: bytes
    time: int | None
    if entry.HasField("usage"):
        key, time = _checked_usage(entry.usage)
    elif entry.HasField("plan"):
        _check_plan(entry.plan)
        key, time = key_of(entry), None
    else:
        raise MalformedEntryError("an entry has neither usage nor plan")
    return Record(key, entry.SerializeToString(deterministic=True), time)


def read_entry(message: bytes) -> Entry:
    """Read an entry without checking it. Raises MalformedEntryError."""
    try:
        return Entry.FromString(message)
    except DecodeError:
        raise MalformedEntryError("it is no mixer.ledger.v1.Entry") from None


def key_of(entry: Entry) -> bytes:
    """By which an entry is once in the ledger: a usage record's key, or name and version."""
    if entry.HasField("plan"):
        plan = entry.plan
        name = plan.name.encode()
        return b"p%d:%s%s" % (len(name), name, plan.version.encode())
    return b"u" + entry.usage.idempotency_key.encode()


def time_of(entry: Entry) -> int | None:
    """When it was used; None of a plan."""
    return entry.usage.time_unix_nano if entry.HasField("usage") else None


def shown_key(key: bytes) -> str:
    """A key for people; cut where it is long."""
    kind = "plan" if key.startswith(b"p") else "usage"
    cut = key[1 : 1 + _SHOWN_BYTES].decode(errors="replace")
    return f"{kind} {cut!r}{'...' if len(key) > 1 + _SHOWN_BYTES else ''}"


def _checked_usage(usage: UsageRecord) -> tuple[bytes, int]:
    """Its key in the ledger and its time. There may be one for each request: see `_SURE`."""
    key, subject, time = usage.idempotency_key, usage.subject, usage.time_unix_nano
    longest = max(len(key), len(subject), len(usage.plan), len(usage.plan_version))
    if not key or not subject or longest > _SURE:
        _within("usage.idempotency_key", key, 1, MAX_NAME_BYTES)
        _within("usage.subject", subject, 1, MAX_NAME_BYTES)
        _within("usage.plan", usage.plan, 0, MAX_NAME_BYTES)
        _within("usage.plan_version", usage.plan_version, 0, MAX_NAME_BYTES)
    _at_most("usage.labels", usage.labels, 0, MAX_LABELS)
    meters = [one.meter for one in usage.quantities]
    _at_most("usage.quantities", meters, 1, MAX_QUANTITIES)
    _check_meters("usage.quantities", meters)
    if not 1 <= time <= MAX_TIME:
        raise MalformedEntryError("usage.time_unix_nano must be from 1 to 2^63 - 2")
    return b"u" + key.encode(), time


def _check_plan(plan: Plan) -> None:
    _within("plan.name", plan.name, 1, MAX_NAME_BYTES)
    _within("plan.version", plan.version, 1, MAX_NAME_BYTES)
    currency = plan.currency
    if len(currency) != _CURRENCY_LETTERS or not (currency.isascii() and currency.isupper()):
        raise MalformedEntryError("plan.currency must be three capital letters (ISO 4217)")
    if plan.period not in Period.values():
        raise MalformedEntryError("plan.period must be MONTH or DAY")
    _at_most("plan.rates", plan.rates, 0, MAX_QUANTITIES)
    _check_meters("plan.rates", [one.meter for one in plan.rates])
    for rate in plan.rates:
        _check_tiers(rate)


def _check_tiers(rate: Rate) -> None:
    """Ends must rise, and only the last tier must have none: then every unit has one price."""
    _at_most("plan.rates.tiers", rate.tiers, 0, MAX_TIERS)
    ends = [tier.up_to for tier in rate.tiers]
    if not ends:
        return
    bounded = ends[:-1]
    if ends[-1] or 0 in bounded or any(a >= b for a, b in pairwise(bounded)):
        raise MalformedEntryError("plan.rates.tiers: up_to must rise, and be 0 for the last alone")


def _check_meters(field: str, meters: Sequence[str]) -> None:
    named = f"{field}.meter"
    for meter in meters:
        _within(named, meter, 1, MAX_METER_BYTES)
    if len(meters) > 1 and len(set(meters)) < len(meters):
        raise MalformedEntryError(f"{field} has a meter twice")


def _within(field: str, text: str, least: int, most: int) -> None:
    if not least <= len(text.encode()) <= most:
        raise MalformedEntryError(f"{field} must have {least} to {most} bytes")


def _at_most(field: str, items: Sized, least: int, most: int) -> None:
    if not least <= len(items) <= most:
        raise MalformedEntryError(f"{field} must have {least} to {most} items")
