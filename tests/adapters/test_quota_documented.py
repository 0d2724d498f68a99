"""The README of the quota adapter: its examples do what it says, and it has every field."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.config import loads
from mixer.engine import Decision, Engine
from mixer.state import MemorySharedData, StateLimits
from mixer.testing import Host, Outcome, Plugin, PluginStartError
from tests.adapters.asking import check_request, quota_request
from tests.adapters.counting import count_by

README = (Path(__file__).parents[2] / "adapters" / "quota" / "README.md").read_text()
_EXAMPLE = re.compile(r"^### ([^\n]+)\n[^#]*?```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\| `(\w+)", re.MULTILINE)
EXAMPLES = {title: yaml.safe_load(text) for title, text in _EXAMPLE.findall(README)}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host() as one:
        yield one


def passed(plugin: Plugin, times: int, headers: dict[str, str]) -> int:
    """How many of so many requests pass."""
    return sum(plugin.request(headers).outcome is Outcome.CONTINUE for _ in range(times))


def test_there_are_these_examples() -> None:
    """Each has a test here."""
    assert list(EXAMPLES) == [
        "100 requests a minute for each user",
        "A burst and a sum",
        "Plans, and what an expensive request costs",
        "A limit that is tried out",
        "What memquota had",
    ]


def test_requests_of_each_user(host: Host) -> None:
    """100 a minute, 1000 for the robot, health checks as many as one likes."""
    plugin = host.load("builtin://quota", EXAMPLES["100 requests a minute for each user"])
    alice, robot = {"x-user": "alice"}, {"x-user": "build-robot"}
    assert passed(plugin, 102, alice) == 100
    assert passed(plugin, 102, {":path": "/healthz", **alice}) == 102
    assert passed(plugin, 1002, robot) == 1000
    host.advance(60)
    stream = plugin.request(alice)
    stream.response_headers()
    assert stream.response is not None
    told = [f"{n}: {stream.response.headers[n]}" for n in ("ratelimit-policy", "ratelimit")]
    assert "\n".join(told) in README


@pytest.mark.parametrize("name", ["reqest.path", "request.pth"])
@pytest.mark.parametrize(("kind", "passing"), [("match", 2), ("dimension", 1)])
def test_a_misspelled_name(host: Host, name: str, kind: str, passing: int) -> None:
    """Is taken, and a match holds for every request; a dimension is the same for all of them."""
    quota = {"name": "q", "max": 1, "window": "1h", "dimensions": {"path": "request.path"}}
    if kind == "match":
        quota["match"] = f'{name} == "/"'
    else:
        quota["dimensions"] = {"path": name}
    plugin = host.load("builtin://quota", {"quotas": [quota]})
    assert sum(passed(plugin, 2, {":path": path}) for path in ("/a", "/b")) == passing


def test_a_burst_and_a_sum(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten a second, until the day's are used up; all where there is no room in the store."""
    configuration = EXAMPLES["A burst and a sum"]
    plugin = host.load("builtin://quota", configuration)
    for _ in range(3):
        assert passed(plugin, 12, {":authority": "a"}) == 10
        assert passed(plugin, 12, {":authority": "b"}) == 10
        host.advance(1.0)
    count_by("shared data", monkeypatch)
    host.shared_data = MemorySharedData(StateLimits(max_keys=0))
    assert passed(host.load("builtin://quota", configuration), 12, {":authority": "a"}) == 12


def test_plans_and_costs(host: Host) -> None:
    """Five at once and two a second, for gold 50 and 20; a search costs five."""
    example = EXAMPLES["Plans, and what an expensive request costs"]
    plugin = host.load("builtin://quota", example)
    free, gold = {"x-tenant": "a", "x-plan": "free"}, {"x-tenant": "b", "x-plan": "gold"}
    search = {":path": "/search?q=1"}
    assert passed(plugin, 10, free) == 5
    assert passed(plugin, 60, gold) == 50
    host.advance(1.0)
    assert passed(plugin, 10, free) == 2
    assert passed(plugin, 60, gold | search) == 4
    host.advance(2.0)
    refused = plugin.request(free | search).local_response
    assert refused is not None
    assert dict(refused.headers)[b"retry-after"] == b"1"
    host.advance(0.5)
    assert plugin.request(free | search).outcome is Outcome.CONTINUE


def test_a_limit_that_is_tried_out(host: Host) -> None:
    """The new limit refuses nobody, and the metric says whom it would have."""
    plugin = host.load("builtin://quota", EXAMPLES["A limit that is tried out"])
    assert passed(plugin, 120, {"x-user": "alice"}) == 100
    assert host.counter("quota=.=half;.;mixer_quota_shadow_refused_total") == 50
    assert "mixer_quota_shadow_refused_total" in README


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the document of the third example."""
    text = yaml.safe_dump(EXAMPLES["What memquota had"])
    with Engine(loads(text, base=tmp_path, environ={})) as one:
        yield one


def test_what_memquota_had(engine: Engine) -> None:
    """The limits of Istio's example, by source and destination."""
    name = "requestcount.quota.istio-system"

    def granted(amount: int, source: str, destination: str) -> int | None:
        own = {"source.name": source, "destination.service": destination}
        decision = engine.allocate(
            quota_request(name, amount, best_effort=True, **{"mixer.attribute": own}), name
        )
        assert isinstance(decision, Decision)
        return decision.granted

    assert granted(9000, "reviews", "ratings") == 1
    assert granted(9000, "productpage", "ratings") == 100
    assert granted(9000, "productpage", "reviews") == 5000
    decision = engine.decide(check_request())
    assert isinstance(decision, Decision)
    assert decision.verdict.value == "allow"


@pytest.mark.parametrize(
    ("heading", "configuration"),
    [
        ("## Configuration", {"x": 1}),
        ("### Quota", {"quotas": [{"x": 1}]}),
        (
            "### Override",
            {
                "quotas": [
                    {
                        "name": "q",
                        "max": 1,
                        "window": "1s",
                        "dimensions": {"a": "1"},
                        "overrides": [{"x": 1}],
                    }
                ]
            },
        ),
    ],
)
def test_every_field_is_described(host: Host, heading: str, configuration: dict[str, Any]) -> None:
    """The table has the fields that the module knows, and no others."""
    section = README.split(f"\n{heading}\n")[1].split("\n#")[0]
    described = set(_FIELD.findall(section))
    with pytest.raises(PluginStartError) as refused:
        host.load("builtin://quota", configuration)
    known = re.findall(r"\w+", str(refused.value).partition("known here: ")[2].split("\n")[0])
    assert described == set(known)
