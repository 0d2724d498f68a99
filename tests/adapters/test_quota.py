"""The quota adapter, callback by callback."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mixer.attributes import Duration, Timestamp, Value
from mixer.state import MemorySharedData, StateLimits
from mixer.testing import Host, LogLevel, Outcome, Plugin, PluginStartError, Stream
from tests.adapters.counting import WAYS, count_by

QUOTA = {"name": "requests", "max": 2, "window": "1s"}
BY_SOURCE = {"source": "request.headers['x-source']"}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who counts: the host, or the module in shared data."""
    count_by(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def host(way: str) -> Iterator[Host]:
    """A host with a clock of its own."""
    del way
    with Host() as one:
        yield one


def load(host: Host, *quotas: Mapping[str, Any], **settings: Any) -> Plugin:
    return host.load("builtin://quota", {"quotas": quotas or [QUOTA], **settings})


def ask(
    plugin: Plugin,
    amount: int,
    *,
    name: str = "requests",
    best_effort: bool = True,
    dedup: str | None = None,
    caller: str = "10.0.0.1",
    headers: Mapping[str, str] | None = None,
    **attributes: Value,
) -> Stream:
    """Ask for an amount, as a front end does whose callers say what they want."""
    properties: dict[str, Value] = {
        "mixer.operation": "quota",
        "mixer.quota": {"name": name, "amount": amount, "best_effort": best_effort},
        "mixer.caller": caller,
        **attributes,
    }
    if dedup is not None:
        properties["mixer.dedup_id"] = dedup
    return plugin.request(headers or {}, properties=properties)


def granted(stream: Stream) -> tuple[str, str]:
    """The amount, and how long it holds."""
    properties = stream.properties
    return tuple(properties[b"mixer." + n].decode() for n in (b"quota.granted", b"valid_duration"))


def test_a_match_that_fails_is_no_way_around(host: Host) -> None:
    """What a caller writes must not free it of a quota; what it leaves out may not be meant."""
    plugin = load(host, QUOTA | {"match": "int(request.headers['x-size']) > 5", "max": 1})
    wrong = [plugin.request({"x-size": "many"}).outcome for _ in range(2)]
    assert wrong == [Outcome.CONTINUE, Outcome.RESPOND]
    for headers in ({"x-size": "5"}, {}):
        assert plugin.request(headers).outcome is Outcome.CONTINUE


def test_each_request_takes_one(host: Host) -> None:
    """In a plain proxy, requests pass until the window's are used up, and again in the next."""
    plugin = load(host)
    assert [plugin.request().outcome for _ in range(3)] == [
        Outcome.CONTINUE,
        Outcome.CONTINUE,
        Outcome.RESPOND,
    ]
    host.advance(1.0)
    assert plugin.request().outcome is Outcome.CONTINUE


def test_a_refusal_says_why_and_until_when(host: Host) -> None:
    """429 with the name of the quota, and the seconds until the window is over, rounded up."""
    plugin = load(host, QUOTA | {"max": 1, "window": "10s"})
    plugin.request()
    host.advance(2.5)
    stream = plugin.request()
    response = stream.local_response
    assert response is not None
    assert (response.status, response.details) == (429, "quota_exhausted:requests")
    assert dict(response.headers) == {
        b"content-type": b"application/json",
        b"retry-after": b"8",
    }
    assert response.body == b'{"error":"quota_exhausted","quota":"requests"}'
    assert stream.properties[b"mixer.deny.code"] == b"8"


def test_all_quotas_or_none(host: Host) -> None:
    """What one quota refuses is taken of none; those whose match does not hold do not count."""
    plugin = load(
        host,
        QUOTA | {"name": "all", "max": 3},
        QUOTA | {"name": "each", "max": 1, "dimensions": BY_SOURCE},
        QUOTA | {"name": "posts", "max": 1, "match": "request.method == 'POST'"},
    )
    outcomes = [plugin.request({"x-source": source}).outcome for source in "aabbc"]
    passed, refused = Outcome.CONTINUE, Outcome.RESPOND
    assert outcomes == [passed, refused, passed, refused, passed]
    stream = plugin.request({"x-source": "d", ":method": "POST"})
    assert stream.local_response is not None
    assert stream.local_response.details == "quota_exhausted:all"
    host.advance(1.0)
    assert plugin.request({"x-source": "d", ":method": "POST"}).outcome is passed
    assert plugin.request({"x-source": "e", ":method": "POST"}).outcome is refused


def test_a_check_takes_nothing(host: Host) -> None:
    """It passes, and says that its answer may be kept; nothing is read that could change."""
    plugin = load(host, QUOTA | {"max": 1}, checkValidity="1m30s")
    for _ in range(3):
        stream = plugin.request(properties={"mixer.operation": "check"})
        assert stream.outcome is Outcome.CONTINUE
        assert stream.properties == {
            b"mixer.valid_duration": b"90s",
            b"mixer.valid_use_count": b"-1",
        }
    assert host.shared_data.usage() == {}


def test_an_amount_and_its_time(host: Host) -> None:
    """All or nothing; with best effort what there is; for the rest of the window."""
    plugin = load(host, QUOTA | {"max": 5, "window": "30s"})
    assert granted(ask(plugin, 3, best_effort=False)) == ("3", "30s")
    host.advance(0.5)
    assert granted(ask(plugin, 3, best_effort=False)) == ("0", "0s")
    assert granted(ask(plugin, 3)) == ("2", "29.5s")
    assert granted(ask(plugin, 3)) == ("0", "29.5s")
    host.advance(29.5)
    assert granted(ask(plugin, 5, best_effort=False)) == ("5", "30s")


@pytest.mark.parametrize("amount", [0, -1, -(1 << 63)])
def test_no_amount_gives_anything_back(host: Host, amount: int) -> None:
    """Zero and negative amounts are granted 0 and change nothing."""
    plugin = load(host)
    ask(plugin, 2)
    assert granted(ask(plugin, amount)) == ("0", "0s")
    assert granted(ask(plugin, 1)) == ("0", "1s")


def test_the_largest_amount(host: Host) -> None:
    """No sum overflows."""
    plugin = load(host, QUOTA | {"max": (1 << 53) - 1})
    assert granted(ask(plugin, (1 << 63) - 1, best_effort=False)) == ("0", "0s")
    assert granted(ask(plugin, (1 << 63) - 1)) == (str((1 << 53) - 1), "1s")
    assert granted(ask(plugin, (1 << 63) - 1)) == ("0", "1s")


@pytest.mark.parametrize("way", ["shared data"], indirect=True)
def test_a_request_that_comes_again(host: Host) -> None:
    """It gets its first answer: the same caller, quota, dimensions and id, in the time set."""
    plugin = load(
        host,
        QUOTA | {"max": 5, "window": "4s", "dimensions": BY_SOURCE},
        QUOTA | {"name": "other", "max": 1},
        deduplication={"window": "5s"},
    )

    def again(caller: str = "a", source: str = "x", name: str = "requests") -> tuple[str, str]:
        headers = {"x-source": source}
        return granted(ask(plugin, 4, dedup="1", caller=caller, headers=headers, name=name))

    assert again() == ("4", "4s")
    host.advance(1.0)
    assert again() == ("4", "3s")
    assert again(caller="b") == ("1", "3s")
    assert again(source="y") == ("4", "4s")
    assert again(name="other") == ("1", "1s")
    host.advance(3.5)
    assert again() == ("4", "0s")
    host.advance(0.5)
    assert again() == ("4", "4s")


def test_a_repetition_takes_nothing(host: Host) -> None:
    """Of whoever counts, the same request is granted what it was, until that is forgotten."""
    plugin = load(host, QUOTA | {"max": 5, "window": "4s"}, deduplication={"window": "5s"})
    granted_to = [granted(ask(plugin, 4, dedup="1", caller=caller))[0] for caller in "aaba"]
    assert granted_to == ["4", "4", "1", "4"]
    host.advance(4.5)
    assert granted(ask(plugin, 4, dedup="1", caller="a"))[0] == "4"
    assert granted(ask(plugin, 9))[0] == "5"
    host.advance(0.5)
    assert granted(ask(plugin, 4, dedup="1", caller="a"))[0] == "0"


def test_an_empty_id_is_none(host: Host) -> None:
    """Callers without an id do not share one answer."""
    plugin = load(host, QUOTA | {"max": 3})
    assert [granted(ask(plugin, 2, dedup=one))[0] for one in ("", "", "")] == ["2", "1", "0"]


DIMENSIONS: dict[str, tuple[Value, str]] = {
    "text": ("reviews", "reviews"),
    "text of eight bytes": ("reviewsx", "reviewsx"),
    "text of four bytes": ("host", "host"),
    "one letter": ("1", "1"),
    "nothing": ("", ""),
    "long": ("x" * 10_000, "x" * 10_000),
    "int": (8080, "8080"),
    "negative": (-1, "-1"),
    "bool": (True, "true"),
    "double": (1.5, "1.5"),
    "address": (bytes([10, 0, 0, 1]), "10.0.0.1"),
    "address of version 6": (bytes(15) + b"\x01", "::1"),
    "duration": (Duration(1_500_000_000), "1.5s"),
    "time": (Timestamp(0), "1970-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_values_of_every_kind_count_as_text(host: Host, kind: str) -> None:
    """An override names them as they are written; an absent attribute is as an empty value."""
    value, text = DIMENSIONS[kind]
    plugin = load(
        host,
        QUOTA
        | {
            "dimensions": {"it": "mixer.attribute['it'] // whatever it is"},
            "overrides": [{"dimensions": {"it": text}, "max": 7}],
        },
    )
    assert granted(ask(plugin, 9, **{"mixer.attribute": {"it": value}})) == ("7", "1s")
    assert granted(ask(plugin, 9, **{"mixer.attribute": {"it": "else"}})) == ("2", "1s")
    absent = ask(plugin, 9, **{"mixer.attribute": {}})
    assert granted(absent) == (("0", "1s") if text == "" else ("2", "1s"))


def test_an_unknown_quota_is_not_granted(host: Host) -> None:
    """The caller is told that there is none."""
    stream = ask(load(host), 1, name="nothing")
    assert granted(stream) == ("0", "0s")
    assert stream.properties[b"mixer.deny.code"] == b"5"
    assert stream.local_response is not None
    assert stream.local_response.details == "quota_unknown:nothing"


def test_what_a_quota_is_not_for(host: Host) -> None:
    """Where its match does not hold, or has no value, the amount is granted in full."""
    plugin = load(host, QUOTA | {"match": "mixer.attribute['it'] == 'yes'"})
    for attributes in ({}, {"it": "no"}, {"it": 1}):
        assert granted(ask(plugin, 9, **{"mixer.attribute": attributes})) == ("9", "60s")
    assert granted(ask(plugin, 9, **{"mixer.attribute": {"it": "yes"}})) == ("2", "1s")


@pytest.mark.parametrize("way", ["shared data"], indirect=True)
@pytest.mark.parametrize(("on_error", "expected"), [("deny", ("0", "0s")), ("allow", ("9", "1s"))])
def test_a_full_store(host: Host, on_error: str, expected: tuple[str, str]) -> None:
    """What has no room any more is refused as unavailable, or granted, as configured."""
    host.shared_data = MemorySharedData(StateLimits(max_keys=1))
    plugin = load(host, QUOTA, QUOTA | {"name": "other"}, onError=on_error)
    assert granted(ask(plugin, 9)) == ("2", "1s")
    stream = ask(plugin, 9, name="other")
    assert granted(stream) == expected
    assert stream.properties.get(b"mixer.deny.code") == (b"14" if on_error == "deny" else None)
    assert granted(ask(plugin, 9)) == ("0", "1s")
    assert plugin.request().outcome is Outcome.RESPOND
    host.advance(1.0)
    refused = plugin.request()
    assert refused.outcome is (Outcome.RESPOND if on_error == "deny" else Outcome.CONTINUE)
    host.advance(0.5)
    assert granted(ask(plugin, 9))[0] == ("2" if on_error == "deny" else "1")


@pytest.mark.parametrize("way", ["shared data"], indirect=True)
def test_memory_is_flat_however_many_values_there_are(host: Host) -> None:
    """A flood of values fills what is set aside for them; others have room in the next window."""
    plugin = load(host, QUOTA | {"dimensions": BY_SOURCE, "maxKeys": 32, "max": 1})

    def passes(number: int) -> bool:
        return plugin.request({"x-source": f"source-{number}"}).outcome is Outcome.CONTINUE

    assert sum(passes(number) for number in range(2000)) == 64
    (usage,) = host.shared_data.usage().values()
    assert usage.keys == 1
    assert usage.size < 64 * 60
    stream = plugin.request({"x-source": "source-1999"})
    assert stream.local_response is not None
    assert (stream.local_response.status, stream.local_response.details) == (
        503,
        "quota_unavailable:requests",
    )
    host.advance(1.0)
    assert passes(1999)


def test_limits_in_headers(host: Host) -> None:
    """The headers of the IETF's draft, in the upstream's response and in a refusal, once each."""
    plugin = load(host, QUOTA | {"max": 1, "window": "1500ms"}, rateLimitHeaders=True)
    policy, limit = '"requests";q=1;w=2', '"requests";r=0;t=2'
    stream = plugin.request()
    assert stream.properties[b"mixer.response_header.ratelimit-policy"] == policy.encode()
    assert stream.properties[b"mixer.response_header.ratelimit"] == limit.encode()
    stream.response_headers({"x": "1"})
    assert stream.response is not None
    assert stream.response.headers["ratelimit-policy"] == policy
    assert stream.response.headers["ratelimit"] == limit
    refused = plugin.request()
    refused.local_reply()
    assert refused.response is not None
    named = [n for n, _ in refused.response.headers.pairs() if n.startswith(b"ratelimit")]
    assert named == [b"ratelimit-policy", b"ratelimit"]


def test_no_headers_unless_asked_for(host: Host) -> None:
    """Nothing of the response is touched."""
    stream = load(host).request()
    assert stream.properties == {}
    stream.response_headers({"x": "1"})
    assert stream.response is not None
    assert [n for n, _ in stream.response.headers.pairs()] == [b":status", b"x"]


@pytest.mark.parametrize(
    ("quota", "message"),
    [
        ({"match": "1 +"}, "quotas[0].match is no CEL expression that the host takes"),
        (
            {"dimensions": {"source": "nothing("}},
            "quotas[0].dimensions.source is no CEL expression that the host takes",
        ),
        ({"max": 0}, "quotas[0].max must be a whole number from 1 to 9007199254740991"),
    ],
)
def test_mistakes_are_named(host: Host, quota: dict[str, Any], message: str) -> None:
    """The plugin does not start, and one line of the log says where the mistake is."""
    with pytest.raises(PluginStartError, match=re.escape(f"quota: {message}")):
        load(host, QUOTA | quota)


def test_plugins_of_one_vm_id_count_together(host: Host) -> None:
    """Two VMs share what is used; one of another vm_id does not."""
    configuration = {"quotas": [QUOTA]}
    one, two = (host.load("builtin://quota", configuration, vm_id="shared") for _ in range(2))
    other = host.load("builtin://quota", configuration, vm_id="other")
    assert [granted(ask(p, 1))[0] for p in (one, two, one, two)] == ["1", "1", "0", "0"]
    assert granted(ask(other, 2))[0] == "2"
    assert one.messages(LogLevel.WARN) == []
