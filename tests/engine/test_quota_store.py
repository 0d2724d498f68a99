"""The counters of quotas of an engine, opened as they are configured."""

from pathlib import Path

import pytest

from mixer.config import OnUnavailable, SharedState
from mixer.engine import Verdict
from mixer.engine.quota_store import open_quotas
from mixer.proxywasm import ManualScheduler
from mixer.state import StoreError
from mixer.state.quota import Algorithm, Answer, Charge, MemoryQuotas, Take
from mixer.state.quota.lease import LeasedQuotas
from mixer.state.quota.lmdb import LmdbQuotas
from mixer.state.quota.redis import RedisQuotas
from mixer.wire.quota_pb2 import Charge as SentCharge
from mixer.wire.quota_pb2 import TakeRequest
from tests.engine.conftest import MakeEngine, Plugins
from tests.engine.world import PAUSE, World
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.late_quotas import LateQuotas
from tests.support.redis_server import free_port

TAKE = Take((Charge(b"k", Algorithm.FIXED_WINDOW, 5, 60 * 10**9),))


def state(**fields: object) -> SharedState:
    return SharedState.model_validate(fields)


def redis() -> dict[str, object]:
    return {"redis": {"url": f"redis://127.0.0.1:{free_port()}"}}


def test_they_are_in_memory() -> None:
    """Unless another store is configured, for the shared state or for them."""
    assert isinstance(open_quotas(state(), ManualScheduler()), MemoryQuotas)


def test_they_are_where_the_shared_state_is(tmp_path: Path) -> None:
    """In a folder of their own within that of the shared state."""
    made = open_quotas(state(store={"lmdb": {"path": tmp_path}}), ManualScheduler())
    assert isinstance(made, LmdbQuotas)
    made.take("", TAKE)
    made.close()
    assert (tmp_path / "quota" / "data.mdb").exists()


@pytest.mark.parametrize(("kind", "granted"), [("LOCAL", [1]), ("OPEN", [1]), ("CLOSED", [])])
def test_a_server_that_is_away(kind: str, granted: list[int]) -> None:
    """The counters are opened nevertheless, and answer as it is configured for that."""
    made = open_quotas(
        state(quota={"store": redis(), "onUnavailable": OnUnavailable(kind)}), ManualScheduler()
    )
    assert isinstance(made, RedisQuotas)
    answer = made.take("", TAKE)
    assert isinstance(answer, Answer)
    assert answer.local
    assert [one.granted for one in answer.standings] == granted
    made.close()


def test_a_lease() -> None:
    """With a lease, it is before the server."""
    quota = {"store": redis(), "lease": {"amount": 10}}
    made = open_quotas(state(quota=quota), ManualScheduler())
    assert isinstance(made, LeasedQuotas)
    made.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """The error names the field."""
    (tmp_path / "file").write_text("")
    quota = {"store": {"lmdb": {"path": tmp_path / "file"}}}
    with pytest.raises(StoreError, match=r"^spec\.state\.quota\.store\.lmdb: "):
        open_quotas(state(quota=quota), ManualScheduler())


def test_a_request_waits_for_its_counters(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is made when the answer has come, and is not kept for others."""
    quotas = LateQuotas()
    monkeypatch.setattr("mixer.engine.opened_state.open_quotas", lambda *_: quotas)
    charge = SentCharge(key=b"k", limit=5, window_ns=10**9, cost=1)
    asks = do.call_foreign("mixer_quota_take", TakeRequest(charges=[charge]).SerializeToString())
    text = adapter(
        do.set_property("mixer.valid_duration", "60s"),
        asks,
        PAUSE,
        foreign_function=[do.add("x-counted", "1"), do.resume],
    )
    world = World(make_engine, plugins.plugin("one", text))
    for number in range(2):
        pending = world.ask()
        assert pending.decision is None
        quotas.waiting[number].answer()
        world.time.advance()
        assert pending.decision is not None
        assert pending.decision.verdict is Verdict.ALLOW
        assert [one.name for one in pending.decision.request_headers] == [b"x-counted"]
    pending = world.ask()
    pending.give_up("deadline")
    world.time.advance()
    assert quotas.waiting[2].cancelled
