"""The ledger that the examples of docs/ledger.md and of the commands' tests read."""

from datetime import datetime
from pathlib import Path

from mixer.state.ledger import record_of
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.wire.ledger_pb2 import Rate, Tier
from tests.support.ledger_entries import flat, plan, usage

_TOKENS = Rate(
    included=1000,
    per=1000,
    tiers=[Tier(up_to=10_000, price_nanos=2_000_000), Tier(price_nanos=1_500_000)],
)
_USED = (
    ("2026-11-03T09:00:00Z", "alice", 900),
    ("2026-11-03T09:30:00Z", "alice", 4_100),
    ("2026-11-04T10:00:00Z", "alice", 9_000),
    ("2026-11-04T11:00:00Z", "bob", 400),
)


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def write_example(file: Path) -> None:
    """Write a ledger with a plan, and with what alice and bob used."""
    ledger = SqliteLedger(file)
    rates = {"calls": flat(500_000), "total_tokens": _TOKENS}
    entries = [plan("gold", "1", rates)] + [
        usage(f"req-{number}", who, {"calls": 1, "total_tokens": tokens}, time=_nanoseconds(when))
        for number, (when, who, tokens) in enumerate(_USED, start=1)
    ]
    ledger.append([record_of(one) for one in entries])
    ledger.close()
