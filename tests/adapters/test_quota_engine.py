"""The quota adapter in the engine: what callers get, what is kept, and who counts together."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.config import loads
from mixer.engine import Decision, Engine, Verdict
from tests.adapters.asking import check_request, quota_request
from tests.adapters.counting import WAYS, count_by
from tests.engine.conftest import request

_ROOT = Path(__file__).parents[2]
QUOTA = {"name": "requests", "max": 5, "window": "1h"}


def documents(
    folder: Path, *quotas: dict[str, Any], annotations: dict[str, str] | None = None, **mixer: Any
) -> str:
    """A configuration with one quota adapter."""
    own = {"quotas": "requests", **(annotations or {})}
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "q", "annotations": {f"mixer.dev/{k}": v for k, v in own.items()}},
        "spec": {"url": "builtin://quota", "pluginConfig": {"quotas": list(quotas or [QUOTA])}},
    }
    spec = {"compileCache": {"directory": str(folder / "cache")}, **mixer}
    service = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "m"},
        "spec": spec,
    }
    return yaml.safe_dump_all([service, plugin])


MakeEngine = Callable[..., Engine]


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who counts: the host, or the module in shared data."""
    count_by(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Makes engines with one quota adapter; closed at the end."""
    with ExitStack() as stack:

        def make(*quotas: dict[str, Any], **options: Any) -> Engine:
            text = documents(tmp_path, *quotas, **options)
            engine = Engine(loads(text, base=tmp_path, environ={}))
            assert engine.broken == ()
            return stack.enter_context(engine)

        yield make


def decided(decision: object) -> Decision:
    assert isinstance(decision, Decision)
    return decision


def test_an_amount_is_granted_with_its_time(make_engine: MakeEngine) -> None:
    """The decision has the amount and how long it holds; a refusal has 0 for no time."""
    engine = make_engine()
    first = decided(engine.allocate(quota_request("requests", 3), "requests"))
    assert (first.verdict, first.granted) == (Verdict.ALLOW, 3)
    assert first.validity is not None
    assert first.validity.duration == 3600 * 10**9
    second = decided(engine.allocate(quota_request("requests", 3), "requests"))
    assert (second.verdict, second.granted) == (Verdict.ALLOW, 0)
    assert second.validity is not None
    assert second.validity.duration == 0
    rest = decided(engine.allocate(quota_request("requests", 3, best_effort=True), "requests"))
    assert rest.granted == 2


def test_a_quota_that_only_the_annotation_names(make_engine: MakeEngine) -> None:
    """Nothing is granted, and the code says that there is none."""
    engine = make_engine(annotations={"quotas": "*"})
    decision = decided(engine.allocate(quota_request("others", 1), "others"))
    assert (decision.verdict, decision.code, decision.granted) == (Verdict.DENY, 5, None)
    assert decision.reason == "quota_unknown:others"


def test_a_check_is_answered_from_the_cache(make_engine: MakeEngine) -> None:
    """A check follows from nothing that a quota counts, so the module is asked once."""
    engine = make_engine()
    for _ in range(5):
        decision = decided(engine.decide(check_request(("x-a", "1"))))
        assert decision.verdict is Verdict.ALLOW
        assert decision.validity is not None
        assert 50 * 10**9 < decision.validity.duration <= 60 * 10**9
    assert engine.cache.stats.hits > 0
    assert engine.cache.stats.uncacheable == 0
    granted = [engine.allocate(quota_request("requests", 1), "requests") for _ in range(6)]
    assert [decided(one).granted for one in granted] == [1, 1, 1, 1, 1, 0]


def test_a_charge_is_never_answered_from_the_cache(make_engine: MakeEngine) -> None:
    """Not even where the configuration states a validity: each request is counted."""
    engine = make_engine(annotations={"valid-duration": "60s"})
    verdicts = [decided(engine.decide(request())).verdict for _ in range(7)]
    assert verdicts == [Verdict.ALLOW] * 5 + [Verdict.DENY] * 2
    assert engine.cache.stats.hits == 0


def test_a_denial_tells_its_code(make_engine: MakeEngine) -> None:
    """RESOURCE_EXHAUSTED for a quota, with the quota in the reason."""
    engine = make_engine(QUOTA | {"max": 1})
    decided(engine.decide(request()))
    decision = decided(engine.decide(request()))
    assert (decision.code, decision.reason) == (8, "quota_exhausted:requests")


@pytest.mark.parametrize("isolation", ["shared", "request"])
def test_a_new_vm_goes_on_counting(make_engine: MakeEngine, isolation: str) -> None:
    """What is used is in the store, not in a VM."""
    engine = make_engine(annotations={"isolation": isolation})
    granted = [engine.allocate(quota_request("requests", 2), "requests") for _ in range(3)]
    assert [decided(one).granted for one in granted] == [2, 2, 0]


def test_a_store_on_disk_outlives_the_service(tmp_path: Path) -> None:
    """The next service goes on counting, and knows the requests that come again."""
    state = {"store": {"lmdb": {"path": str(tmp_path / "state")}}}
    configuration = loads(documents(tmp_path, state=state), base=tmp_path, environ={})

    def take(amount: int, dedup: str) -> int | None:
        attributes = {"mixer.dedup_id": dedup, "mixer.caller": "c"}
        asked = quota_request("requests", amount, best_effort=True, **attributes)
        with Engine(configuration) as engine:
            return decided(engine.allocate(asked, "requests")).granted

    assert [take(3, dedup) for dedup in ("1", "1", "2", "3", "2")] == [3, 3, 2, 0, 2]


ALGORITHMS = ["FIXED_WINDOW", "SLIDING_WINDOW", "TOKEN_BUCKET"]


def test_processes_that_race_are_granted_exactly_what_there_is(tmp_path: Path, way: str) -> None:
    """Three processes hammer one store: together they get each quota to the unit, with no error."""
    state = {"store": {"lmdb": {"path": "./state"}}}
    config = tmp_path / "mixer.yaml"
    quota = {"max": 100, "window": "8760h"}
    quotas = [quota | {"name": name, "algorithm": name} for name in ALGORITHMS]
    named = {"quotas": "*"}
    config.write_text(documents(tmp_path, *quotas, annotations=named, state=state))
    names = ",".join(ALGORITHMS)
    command = [sys.executable, "-m", "tests.adapters.hammer", str(config), names, "60", way]
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(command)) for _ in range(3)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=120)[0].split() for process in processes]
    sums = [sum(map(int, column)) for column in zip(*said, strict=True)]
    assert sums == [100, 100, 100, 0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vms_that_count_together_let_exactly_so_many_pass(tmp_path: Path, algorithm: str) -> None:
    """Two adapters of one vm-id, with a new VM for each request, and several limits of each."""
    limits = [
        {"name": "wide", "max": 9, "window": "8760h", "algorithm": algorithm},
        {"name": "tight", "max": 4, "window": "8760h", "algorithm": algorithm},
    ]
    text = documents(tmp_path, *limits, annotations={"vm-id": "shared", "isolation": "request"})
    service, plugin = yaml.safe_load_all(text)
    plugins = [plugin | {"metadata": plugin["metadata"] | {"name": f"q{n}"}} for n in range(2)]
    configuration = loads(yaml.safe_dump_all([service, *plugins]), base=tmp_path, environ={})
    with Engine(configuration) as engine:
        verdicts = [decided(engine.decide(request())).verdict for _ in range(5)]
    # Each request is counted by both: the third is refused by the first of them.
    assert verdicts == [Verdict.ALLOW] * 2 + [Verdict.DENY] * 3


def _started(command: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)
