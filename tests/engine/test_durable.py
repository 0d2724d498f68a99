"""Nothing is answered before the ledger has what adapters recorded."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wasmtime

from mixer.attributes import AttributeBag, HeaderMap
from mixer.callouts.ports import Callouts
from mixer.config import loads
from mixer.engine import Decision, Engine, PendingDecision, Record, Request, Verdict
from mixer.engine.durable import UNSTORED
from mixer.engine.story import Wanted
from mixer.proxywasm import ManualScheduler
from mixer.state import StoreError
from mixer.testing.callouts import FakeCallouts
from tests.engine.world import asking
from tests.support.ledger_entries import usage
from tests.support.recorder import recorder

_MIXER = """
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: mixer}
spec:
  ledger:
    sqlite: {path: usage.db}
    maxPendingRecords: 3
"""
_PLUGIN = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: records}
spec: {url: ./recorder.wasm, failStrategy: STRATEGY}
"""
_CONFIG = f"{_MIXER}---{_PLUGIN}"


class _Service:
    """An engine whose ledger is told what it may do."""

    def __init__(
        self,
        folder: Path,
        strategy: str = "FAIL_CLOSE",
        config: str = _CONFIG,
        callouts: Callouts | None = None,
    ) -> None:
        (folder / "recorder.wasm").write_bytes(recorder())
        self.file = folder / "usage.db"
        self.scheduler = ManualScheduler()
        text = config.replace("STRATEGY", strategy)
        configuration = loads(text, base=folder)
        self.engine = Engine(configuration, scheduler=self.scheduler, callouts=callouts)

    def decide(self, entry: bytes | None) -> Decision | PendingDecision:
        headers = {} if entry is None else {"x-entry": entry.hex()}
        return self.engine.decide(_request(headers))

    def ask(self, entry: bytes) -> Decision:
        """What comes of a decision that waits for the ledger."""
        pending = self.decide(entry)
        assert isinstance(pending, PendingDecision)
        self.until(lambda: pending.decision is not None)
        assert pending.decision is not None
        return pending.decision

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(100_000):
            if condition():
                return
            os.sched_yield()
            self.scheduler.advance()
        raise AssertionError("it does not happen")

    def lock(self) -> sqlite3.Connection:
        """Have commits wait until this is closed."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def keys(self) -> list[bytes]:
        connection = sqlite3.connect(self.file)
        rows = connection.execute("SELECT key FROM mixer_ledger_entries ORDER BY position")
        found = [key for (key,) in rows]
        connection.close()
        return found


def _request(headers: dict[str, str]) -> Request:
    return Request(headers=HeaderMap.of(*headers.items()), attributes=AttributeBag({}, None))


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[Callable[..., _Service]]:
    made: list[_Service] = []

    def build(**arguments: str) -> _Service:
        made.append(_Service(tmp_path, **arguments))
        return made[-1]

    yield build
    for one in made:
        one.engine.close()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Fills the disk, as far as the ledger can tell."""
    from mixer.state.ledger import LedgerUnavailableError
    from mixer.state.ledger.sqlite import SqliteLedger

    append, state = SqliteLedger.append, [False]

    def may(self: SqliteLedger, records: list[object]) -> object:
        if state[0]:
            raise LedgerUnavailableError("database or disk is full")
        return append(self, records)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteLedger, "append", may)
    yield lambda value: state.__setitem__(0, value)
    state[0] = False


def test_a_decision_waits_for_the_commit(open_service: Callable[..., _Service]) -> None:
    """It is pending as long as the ledger does not have the record, and is then as it was."""
    service = open_service()
    lock = service.lock()
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    told: list[Decision] = []
    decision.then(told.append)
    assert not told
    assert service.keys() == []
    lock.close()
    service.until(lambda: bool(told))
    assert told[0].verdict is Verdict.ALLOW
    assert service.keys() == [b"ua"]
    assert service.engine.verdicts.allow == 1


def test_a_decision_without_records_does_not_wait(
    open_service: Callable[..., _Service], full: Callable[[bool], None]
) -> None:
    """It is made at once, also while the ledger fails and others wait for it."""
    service = open_service()
    full(True)
    waiting = service.decide(usage("a"))
    assert isinstance(waiting, PendingDecision)
    decision = service.decide(None)
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.ALLOW


def test_what_a_full_disk_does(
    open_service: Callable[..., _Service], full: Callable[[bool], None]
) -> None:
    """The request is refused with 503 and its record taken back; all goes on once there is room."""
    service = open_service()
    full(True)
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    service.until(lambda: decision.decision is not None)
    refused = decision.decision
    assert refused is not None
    assert (refused.verdict, refused.reason) == (Verdict.ERROR, UNSTORED)
    assert refused.response is not None
    assert refused.response.status == 503
    commits = service.engine.commits
    assert commits is not None
    assert commits.pending == 0
    full(False)
    while service.ask(usage("b")).verdict is not Verdict.ALLOW:  # it is tried again after a pause
        assert not service.keys()
    assert service.keys() == [b"ub"]


def test_who_fails_open_goes_on(
    open_service: Callable[..., _Service], full: Callable[[bool], None]
) -> None:
    """With FAIL_OPEN the request passes, and the record is stored once there is room."""
    service = open_service(strategy="FAIL_OPEN")
    full(True)
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    service.until(lambda: decision.decision is not None)
    assert decision.decision is not None
    assert decision.decision.verdict is Verdict.ALLOW
    full(False)
    service.until(lambda: service.keys() == [b"ua"])


@pytest.mark.parametrize(
    ("strategy", "verdict"), [("FAIL_CLOSE", Verdict.ERROR), ("FAIL_OPEN", Verdict.ALLOW)]
)
def test_who_waits_no_longer(
    open_service: Callable[..., _Service], strategy: str, verdict: Verdict
) -> None:
    """A decision that is given up is refused, unless the adapter fails open."""
    service = open_service(strategy=strategy)
    lock = service.lock()
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    assert decision.give_up("decision_timed_out").verdict is verdict
    lock.close()
    commits = service.engine.commits
    assert commits is not None
    service.until(lambda: commits.pending == 0)


@pytest.mark.parametrize(("strategy", "stored"), [("FAIL_CLOSE", []), ("FAIL_OPEN", [b"ua"])])
def test_what_becomes_of_the_record_then(
    open_service: Callable[..., _Service],
    full: Callable[[bool], None],
    strategy: str,
    stored: list[bytes],
) -> None:
    """It is taken back with the request, unless that was let pass."""
    service = open_service(strategy=strategy)
    full(True)
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    decision.give_up("decision_timed_out")
    full(False)
    while service.ask(usage("b")).verdict is not Verdict.ALLOW:  # it is tried again after a pause
        pass
    service.until(lambda: service.keys()[-1:] == [b"ub"])
    assert service.keys() == [*stored, b"ub"]


def test_a_decision_that_waited_for_a_callout_before(tmp_path: Path) -> None:
    """What is recorded once the callout is answered is waited for all the same."""
    (tmp_path / "asks.wasm").write_bytes(wasmtime.wat2wasm(asking()))
    first = _PLUGIN.replace("STRATEGY", "FAIL_CLOSE, priority: 1")
    asks = first.replace("recorder", "asks").replace("records", "asks").replace("y: 1", "y: 2")
    callouts = FakeCallouts()
    service = _Service(tmp_path, config=f"{_MIXER}---{first}---{asks}", callouts=callouts)
    lock = service.lock()
    decision = service.decide(usage("a"))
    assert isinstance(decision, PendingDecision)
    callouts.http_calls[0].respond(200)
    commits = service.engine.commits
    assert commits is not None
    service.until(lambda: commits.pending == 1)
    assert decision.decision is None
    lock.close()
    service.until(lambda: decision.decision is not None)
    assert service.keys() == [b"ua"]
    service.engine.close()


def test_the_story_of_a_refusal(
    open_service: Callable[..., _Service], full: Callable[[bool], None]
) -> None:
    """Its story ends with the refusal, not with what the adapters had decided."""
    service = open_service()
    service.engine.sampler = lambda _: Wanted.LOG
    full(True)
    refused = service.ask(usage("a"))
    assert refused.verdict is Verdict.ERROR
    assert refused.story is not None
    assert refused.story.decision is not None
    assert (refused.story.decision.verdict, refused.story.decision.reason) == (
        Verdict.ERROR,
        UNSTORED,
    )
    assert [turn.callback for turn in refused.story.turns] == ["request_headers"]


def test_memory_is_bounded(
    open_service: Callable[..., _Service], full: Callable[[bool], None]
) -> None:
    """What does not fit is refused to the module, which then knows."""
    service = open_service()
    full(True)
    waiting = [service.decide(usage(key)) for key in "abc"]
    assert all(isinstance(one, PendingDecision) for one in waiting)
    decision = service.decide(usage("d"))
    assert isinstance(decision, Decision)
    assert decision.reason == "trap_unreachable"
    commits = service.engine.commits
    assert commits is not None
    assert (commits.pending, commits.stats.refused) == (3, 1)


def test_what_is_no_entry_is_refused(open_service: Callable[..., _Service]) -> None:
    """The module is told so, and the ledger has nothing of it."""
    service = open_service()
    decision = service.decide(b"\xff\xff")
    assert isinstance(decision, Decision)
    assert decision.reason == "trap_unreachable"
    assert service.keys() == []


def test_a_report_tells_what_was_recorded(open_service: Callable[..., _Service]) -> None:
    """Whoever answers the report waits for its records; for one without any, for nothing."""
    service = open_service()
    recorded = service.engine.recorded()
    assert recorded is not None
    none = _request({})
    assert service.engine.report(Record(none.headers, none.attributes), recorded) == ()
    assert recorded.is_stored
    lock = service.lock()
    asked = _request({"x-entry": usage("a").hex()})
    assert service.engine.report(Record(asked.headers, asked.attributes), recorded) == ()
    assert not recorded.is_stored
    assert recorded.by is service.engine.adapters[0]
    told: list[bool] = []
    recorded.wait(lambda stored: told.append(not stored))
    lock.close()
    service.until(lambda: bool(told))
    assert told == [False]
    assert recorded.is_stored
    assert service.keys() == [b"ua"]


def test_the_end_stores_what_waits(open_service: Callable[..., _Service]) -> None:
    """What was enqueued before the engine is closed is in the ledger."""
    service = open_service()
    assert isinstance(service.decide(usage("a")), PendingDecision)
    service.engine.close()
    assert service.keys() == [b"ua"]


def test_without_a_ledger(open_service: Callable[..., _Service]) -> None:
    """There is no such queue, nothing is recorded, and nothing waits."""
    head, plugin = _CONFIG.split("---")
    service = open_service(config=head.split("spec:")[0] + "---" + plugin)
    assert service.engine.commits is None
    assert service.engine.recorded() is None
    assert isinstance(service.decide(usage("a")), Decision)


def test_a_ledger_that_cannot_be_opened(tmp_path: Path) -> None:
    """The engine does not start, and the message begins with the field."""
    (tmp_path / "usage.db").write_text("no database at all" * 100)
    with pytest.raises(StoreError, match=r"spec\.ledger\.sqlite\.path: .*usage\.db: it is no S"):
        _Service(tmp_path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    """It is left alone."""
    connection = sqlite3.connect(tmp_path / "usage.db")
    connection.execute("CREATE TABLE mine (one)")
    connection.close()
    with pytest.raises(StoreError, match="it is no ledger of Mixer"):
        _Service(tmp_path)


def test_the_file_is_of_its_user_alone(open_service: Callable[..., _Service]) -> None:
    """Nobody else can read who used what."""
    assert open_service().file.stat().st_mode & 0o777 == 0o600


def test_what_is_asked_for_also_waits(open_service: Callable[..., _Service]) -> None:
    """A decision that is explained is not made before its records are stored either."""
    service = open_service()
    lock = service.lock()
    decision = service.engine.explain(_request({"x-entry": usage("a").hex()}))
    assert isinstance(decision, PendingDecision)
    lock.close()
    service.until(lambda: decision.decision is not None)
    assert service.keys() == [b"ua"]
