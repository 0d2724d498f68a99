"""What may go into the ledger."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.state import MemorySharedQueues
from mixer.state.ledger import (
    USAGE_QUEUE,
    CommitLimits,
    GroupCommit,
    LedgerQueues,
    MalformedEntryError,
    read_entry,
    record_of,
)
from mixer.state.ledger.entries import MAX_ENTRY_BYTES
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.state.ports import EnqueueResult, UnknownQueueError
from mixer.wire.ledger_pb2 import Entry, Rate, Tier
from tests.support.ledger_entries import flat, plan, usage


def _changed(change: Callable[[Entry], object], message: bytes = b"") -> bytes:
    entry = Entry.FromString(message or usage("key"))
    change(entry)
    return entry.SerializeToString()


def _tiers(*ends: int) -> bytes:
    return plan(rates={"calls": Rate(tiers=[Tier(up_to=end) for end in ends])})


_MALFORMED = {
    "nothing": (b"", "neither usage nor plan"),
    "rubbish": (b"\xff\xff\xff", "it is no mixer.ledger.v1.Entry"),
    "not UTF-8": (b"\x0a\x03\x0a\x01\xff", "it is no mixer.ledger.v1.Entry"),
    "too large": (bytes(MAX_ENTRY_BYTES + 1), f"over {MAX_ENTRY_BYTES} bytes"),
    "no key": (usage(""), "usage.idempotency_key must have 1 to 256 bytes"),
    "long key": (usage("k" * 257), "usage.idempotency_key must have 1 to 256 bytes"),
    "bytes, not characters": (usage("\u00e9" * 129), "usage.idempotency_key must have 1 to 256"),
    "no subject": (usage("k", ""), "usage.subject must have 1 to 256 bytes"),
    "long plan": (usage("k", plan="p" * 257), "usage.plan must have 0 to 256 bytes"),
    "no quantities": (usage("k", quantities={}), "usage.quantities must have 1 to 32 items"),
    "many quantities": (usage("k", quantities=dict.fromkeys(map(str, range(33)), 1)),
                        "usage.quantities must have 1 to 32 items"),
    "no meter": (usage("k", quantities={"": 1}), "usage.quantities.meter must have 1 to 64 bytes"),
    "a meter twice": (_changed(lambda e: e.usage.quantities.add(meter="calls")),
                      "usage.quantities has a meter twice"),
    "many labels": (usage("k", labels=dict.fromkeys(map(str, range(33)), "")),
                    "usage.labels must have 0 to 32 items"),
    "no time": (usage("k", time=0), "usage.time_unix_nano must be from 1"),
    "late time": (usage("k", time=(1 << 63) - 1), "usage.time_unix_nano must be from 1"),
    "no plan name": (plan(""), "plan.name must have 1 to 256 bytes"),
    "no plan version": (plan(version=""), "plan.version must have 1 to 256 bytes"),
    "small currency": (plan(currency="eur"), "plan.currency must be three capital letters"),
    "unknown period": (_changed(lambda e: setattr(e.plan, "period", 7), plan()), "plan.period"),
    "a rate twice": (_changed(lambda e: e.plan.rates.add(meter="calls"), plan()),
                     "plan.rates has a meter twice"),
    "tiers that fall": (_tiers(10, 5, 0), "up_to must rise"),
    "tiers that end": (_tiers(10, 20), "up_to must rise"),
    "tiers after the end": (_tiers(0, 0), "up_to must rise"),
}  # fmt: skip


@pytest.mark.parametrize("name", _MALFORMED)
def test_what_is_refused(name: str) -> None:
    """The field and its bound are told."""
    message, expected = _MALFORMED[name]
    with pytest.raises(MalformedEntryError, match=expected):
        record_of(message)


@pytest.mark.parametrize(
    "message",
    [usage("k"), usage("k" * 256, plan="", version=""), usage("k", labels={"b": "1", "a": "2"}),
     usage("k", time=(1 << 63) - 2), plan(), plan(rates={}), _tiers(), _tiers(0), _tiers(1, 2, 0),
     plan(rates={"a": flat(1), "b": flat(2)})],
)  # fmt: skip
def test_what_is_taken(message: bytes) -> None:
    """The entry is what it was, in bytes that stay the same if it is read again."""
    record = record_of(message)
    assert Entry.FromString(record.entry) == Entry.FromString(message)
    assert record_of(record.entry) == record


@given(st.binary(max_size=200))
def test_any_bytes(message: bytes) -> None:
    """They are refused, or taken in canonical bytes."""
    try:
        record = record_of(message)
    except MalformedEntryError:
        return
    assert record_of(record.entry) == record
    assert read_entry(record.entry) == read_entry(message)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=8), st.randoms())
def test_the_order_of_labels(labels: dict[str, str], random: object) -> None:
    """It does not make another record."""
    keys = list(labels)
    random.shuffle(keys)  # type: ignore[attr-defined]
    shuffled = {key: labels[key] for key in keys}
    assert record_of(usage("k", labels=labels)) == record_of(usage("k", labels=shuffled))


def test_keys_are_apart() -> None:
    """No plan has the key of a usage record or of another plan."""
    keys = {record_of(one).key for one in (
        usage("p4:gold1"), usage("gold"), plan("gold", "1"), plan("gold1", "1"), plan("gold", "11"),
        plan("go", "ld1"),
    )}  # fmt: skip
    assert len(keys) == 6


def test_the_queue(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The ledger's queue takes entries alone and gives none back; other queues are as they were."""
    file = tmp_path_factory.mktemp("queue") / "usage.db"
    commits = GroupCommit(SqliteLedger(file), CommitLimits(max_records=1, interval=60.0),
                          lambda _: None)  # fmt: skip
    queues = LedgerQueues(MemorySharedQueues(), commits)
    assert queues.resolve("mixer", b"usage") == USAGE_QUEUE
    assert queues.resolve("mixer", b"other") is None
    assert queues.enqueue(USAGE_QUEUE, b"rubbish") is EnqueueResult.MALFORMED
    assert queues.enqueue(USAGE_QUEUE, usage("a")) is EnqueueResult.DURABLE
    assert queues.enqueue(USAGE_QUEUE, usage("b")) is EnqueueResult.NO_ROOM
    with pytest.raises(UnknownQueueError):
        queues.dequeue(USAGE_QUEUE)
    own = queues.register("mixer", b"usage", lambda _: None)
    assert own is not None
    assert own != USAGE_QUEUE
    assert queues.enqueue(own, b"anything") is EnqueueResult.OK
    assert queues.dequeue(own) == b"anything"
    assert list(queues.usage()) == [own]
    assert queues.malformed == 1
    commits.close()
