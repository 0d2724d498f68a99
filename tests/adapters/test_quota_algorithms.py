"""How the limits of the quota adapter count: algorithms, bursts, costs, shadows, dry runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mixer.testing import Host, LogLevel, Outcome, Plugin, Stream
from tests.adapters.counting import WAYS, count_by

PASSED, REFUSED = Outcome.CONTINUE, Outcome.RESPOND
BY_USER = {"user": "request.headers['x-user']"}
BUCKET = {"name": "q", "max": 2, "window": "1s", "algorithm": "TOKEN_BUCKET", "burst": 4}
SLIDING = {"name": "q", "max": 4, "window": "10s", "algorithm": "SLIDING_WINDOW"}
FIXED = {"name": "q", "max": 5, "window": "10s"}


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who counts: the host, or the module in shared data."""
    count_by(request.param, monkeypatch)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host() as one:
        yield one


def load(host: Host, *quotas: Mapping[str, Any], **settings: Any) -> Plugin:
    return host.load("builtin://quota", {"quotas": quotas, **settings})


def passes(plugin: Plugin, times: int = 20, **headers: str) -> int:
    """How many pass until one is refused."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    outcomes = [plugin.request(named).outcome for _ in range(times)]
    number = outcomes.count(PASSED)
    assert outcomes == [PASSED] * number + [REFUSED] * (times - number)
    return number


def refusal(stream: Stream) -> dict[str, str]:
    """The headers of a refusal."""
    response = stream.local_response
    assert response is not None
    assert response.status == 429
    return {name.decode(): value.decode() for name, value in response.headers}


def test_a_bucket_gives_its_burst_and_then_its_rate(host: Host) -> None:
    """Four at once, then one each half second, and after a long rest four again."""
    plugin = load(host, BUCKET)
    assert passes(plugin) == 4
    for _ in range(3):
        host.advance(0.499)
        assert passes(plugin, 1) == 0
        host.advance(0.001)
        assert passes(plugin) == 1
    host.advance(1.0)
    assert passes(plugin) == 2
    host.advance(3600.0)
    assert passes(plugin) == 4


def test_a_sliding_window_forgets_evenly(host: Host) -> None:
    """All of the limit at once, and then one each fourth of the window: no edge to wait for."""
    plugin = load(host, SLIDING)
    assert passes(plugin) == 4
    host.advance(2.5)
    assert passes(plugin) == 1
    host.advance(7.5)
    assert passes(plugin) == 3
    host.advance(10.0)
    assert passes(plugin) == 4


def test_a_burst_below_the_limit_spreads_requests(host: Host) -> None:
    """With a burst of one, each waits for its turn."""
    plugin = load(host, SLIDING | {"burst": 1})
    assert passes(plugin) == 1
    host.advance(2.4)
    assert passes(plugin, 1) == 0
    host.advance(0.1)
    assert passes(plugin) == 1


def test_a_refusal_says_when_the_next_may_come(host: Host) -> None:
    """Until one is there again, not until all are; whoever waits so long passes."""
    plugin = load(host, SLIDING | {"window": "100s"}, rateLimitHeaders=True)
    for left in (3, 2, 1, 0):
        stream = plugin.request()
        told = stream.properties[b"mixer.response_header.ratelimit"].decode()
        assert told == f'"q";r={left};t={(4 - left) * 25}'
    host.advance(10.0)
    headers = refusal(plugin.request())
    assert headers["retry-after"] == "15"
    assert headers["ratelimit"] == '"q";r=0;t=90'
    assert headers["ratelimit-policy"] == '"q";q=4;w=100'
    host.advance(14.0)
    assert passes(plugin, 1) == 0
    host.advance(1.0)
    assert passes(plugin, 1) == 1


def test_each_tenant_has_its_own_algorithm_and_burst(host: Host) -> None:
    """An override changes the limit, the burst and the algorithm of those whom it is for."""
    overrides = [
        {"dimensions": {"user": "gold"}, "max": 10, "burst": 12},
        {"dimensions": {"user": "plain"}, "max": 3},
        {"dimensions": {"user": "window"}, "max": 3, "algorithm": "FIXED_WINDOW"},
    ]
    plugin = load(host, BUCKET | {"dimensions": BY_USER, "overrides": overrides})
    found = {user: passes(plugin, x_user=user) for user in ("gold", "plain", "window", "other")}
    assert found == {"gold": 12, "plain": 3, "window": 3, "other": 4}
    host.advance(0.5)
    found = {user: passes(plugin, x_user=user) for user in ("gold", "plain", "window", "other")}
    assert found == {"gold": 5, "plain": 1, "window": 0, "other": 1}


@pytest.mark.parametrize("limit", [FIXED, FIXED | {"algorithm": "SLIDING_WINDOW"}])
def test_a_request_costs_what_its_expression_says(host: Host, limit: dict[str, Any]) -> None:
    """All of its cost, or nothing; what is no number and what is negative costs one."""
    plugin = load(host, limit | {"cost": "request.headers['x-cost']"}, rateLimitHeaders=True)

    def left(cost: str | None) -> str:
        stream = plugin.request({} if cost is None else {"x-cost": cost})
        assert stream.outcome is PASSED
        told = stream.properties[b"mixer.response_header.ratelimit"].decode()
        return told.split(";")[1]

    assert left("2") == "r=3"
    assert left(None) == "r=2"
    assert left("-3") == "r=1"
    assert left("0") == "r=1"
    stream = plugin.request({"x-cost": "2"})
    assert 0 < int(refusal(stream)["retry-after"]) <= 10
    assert left("many") == "r=0"
    assert left("0") == "r=0"


def test_what_costs_more_than_there_ever_is(host: Host) -> None:
    """Never passes, and is not told to come again."""
    plugin = load(host, BUCKET | {"cost": "int(request.headers['x-cost'])"})
    for cost in ("5", "9223372036854775807"):
        assert "retry-after" not in refusal(plugin.request({"x-cost": cost}))
    assert passes(plugin, x_cost="1") == 4


@pytest.mark.parametrize("cost", ["request.headers['x-cost'] == ", "nothing("])
def test_a_cost_that_is_no_expression(host: Host, cost: str) -> None:
    """Is named when the plugin is configured."""
    with pytest.raises(Exception, match=r"quotas\[0\]\.cost is no CEL expression"):
        load(host, FIXED | {"cost": cost})


def test_of_several_limits_none_is_charged_where_one_refuses(host: Host) -> None:
    """And the client is told to wait for the one that takes longest."""
    plugin = load(
        host,
        BUCKET | {"name": "burst", "max": 1, "burst": 1},
        SLIDING | {"name": "minute", "max": 3, "window": "60s"},
        FIXED | {"name": "user", "max": 1, "window": "30s", "dimensions": BY_USER},
        rateLimitHeaders=True,
    )
    assert passes(plugin, 1, x_user="a") == 1
    headers = refusal(plugin.request({"x-user": "a"}))
    assert (headers["retry-after"], headers["ratelimit"]) == ("30", '"burst";r=0;t=1')
    host.advance(1.0)
    assert refusal(plugin.request({"x-user": "a"}))["ratelimit"] == '"user";r=0;t=29'
    for user in "bc":
        assert passes(plugin, 1, x_user=user) == 1
        host.advance(1.0)
    headers = refusal(plugin.request({"x-user": "d"}))
    assert (headers["retry-after"], headers["ratelimit"]) == ("17", '"minute";r=0;t=57')


def test_a_shadow_counts_and_never_refuses(host: Host) -> None:
    """What it would have refused is in a metric and a property, and its limit in no header."""
    plugin = load(
        host,
        BUCKET | {"name": "real", "max": 9, "burst": 9},
        FIXED | {"name": "trial", "max": 2, "shadow": True},
        rateLimitHeaders=True,
    )
    streams = [plugin.request() for _ in range(4)]
    assert [stream.outcome for stream in streams] == [PASSED] * 4
    told = [stream.properties.get(b"mixer.quota.shadow") for stream in streams]
    assert told == [None, None, b"trial", b"trial"]
    assert host.counter("quota=.=trial;.;mixer_quota_shadow_refused_total") == 2
    assert streams[0].properties[b"mixer.response_header.ratelimit"] == b'"real";r=8;t=1'


def test_nothing_is_taken_of_a_shadow_by_a_request_that_is_refused(host: Host) -> None:
    """Else a trial would tell of requests that never came through."""
    plugin = load(
        host,
        FIXED | {"name": "trial", "max": 3, "window": "1h", "shadow": True},
        FIXED | {"name": "real", "max": 1},
    )
    for _ in range(3):
        assert passes(plugin, 3) == 1
        host.advance(10.0)
    with pytest.raises(KeyError):
        host.counter("another")
    assert host.counter("quota=.=trial;.;mixer_quota_shadow_refused_total") == 0
    plugin.request()
    assert host.counter("quota=.=trial;.;mixer_quota_shadow_refused_total") == 1


def amount_of(plugin: Plugin, amount: int, *, best_effort: bool = True) -> tuple[str, str]:
    """What is granted to one who asks for an amount, and for how long."""
    quota = {"name": "q", "amount": amount, "best_effort": best_effort}
    properties = {"mixer.operation": "quota", "mixer.quota": quota, "mixer.caller": "c"}
    said = plugin.request(properties=properties).properties
    return said[b"mixer.quota.granted"].decode(), said[b"mixer.valid_duration"].decode()


def test_amounts_of_a_bucket(host: Host) -> None:
    """A grant holds until all is there again; a best effort of nothing, until one is."""
    plugin = load(host, BUCKET)
    assert amount_of(plugin, 3) == ("3", "1.5s")
    assert amount_of(plugin, 3, best_effort=False) == ("0", "0s")
    assert amount_of(plugin, 3) == ("1", "2s")
    assert amount_of(plugin, 3) == ("0", "0.5s")
    host.advance(0.5)
    assert amount_of(plugin, 3) == ("1", "2s")


def test_amounts_of_a_shadow_are_granted_in_full(host: Host) -> None:
    """And counted, with what it would not have granted in the metric."""
    plugin = load(host, FIXED | {"shadow": True})
    assert amount_of(plugin, 4)[0] == "4"
    assert amount_of(plugin, 4, best_effort=False)[0] == "4"
    assert host.counter("quota=.=q;.;mixer_quota_shadow_refused_total") == 1


@pytest.mark.parametrize("limit", [FIXED, FIXED | {"algorithm": "TOKEN_BUCKET", "burst": 5}])
def test_a_dry_run_takes_nothing(host: Host, limit: dict[str, Any]) -> None:
    """It is answered as it would be, as often as one asks."""
    limit = limit | {"cost": 2}
    plugin = load(host, limit, rateLimitHeaders=True)

    def explain() -> Stream:
        return plugin.request(properties={"mixer.operation": "explain"})

    for _ in range(2):
        stream = explain()
        assert stream.outcome is PASSED
        assert b";r=3;" in stream.properties[b"mixer.response_header.ratelimit"]
    assert passes(plugin) == 2
    dry, real = refusal(explain()), refusal(plugin.request())
    assert dry == real
    wait = "10" if "algorithm" not in limit else "2"
    assert real["retry-after"] == wait


def test_keys_of_a_megabyte(host: Host) -> None:
    """Are values like others, and take no more room than others."""
    plugin = load(host, BUCKET | {"dimensions": BY_USER})
    long, other = "x" * (1 << 20), "x" * ((1 << 20) - 1) + "y"
    assert passes(plugin, 6, x_user=long) == 4
    assert passes(plugin, 6, x_user=other) == 4
    assert sum(usage.size for usage in host.shared_data.usage().values()) < 1024


def test_values_that_are_no_text(host: Host) -> None:
    """Are told apart byte by byte."""
    plugin = load(host, BUCKET | {"dimensions": {"it": "mixer.attribute['it']"}})
    for value in (b"\xff\xfe", b"\xff\xfd"):
        attributes = {"mixer.attribute": {"it": value}}
        outcomes = [plugin.request(properties=attributes).outcome for _ in range(5)]
        assert outcomes == [PASSED] * 4 + [REFUSED]


def test_so_many_limits_at_once(host: Host) -> None:
    """With more than 64 for one request, none can be asked: it gets what `onError` says."""
    for number, on_error, outcome in ((64, "deny", PASSED), (65, "deny", REFUSED),
                                      (65, "allow", PASSED)):  # fmt: skip
        quotas = [FIXED | {"name": f"q{n}"} for n in range(number)]
        plugin = load(host, *quotas, onError=on_error)
        stream = plugin.request()
        assert stream.outcome is outcome
        if outcome is REFUSED:
            assert stream.local_response is not None
            assert stream.local_response.details == "quota_unavailable:q0"


def test_nothing_is_logged_of_what_is_right(host: Host) -> None:
    """Neither at the start nor with a request."""
    plugin = load(host, BUCKET)
    passes(plugin)
    assert plugin.messages(LogLevel.WARN) == []
