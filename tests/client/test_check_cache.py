"""Which answers are kept, for how long, how often, and how many."""

from typing import Any

import pytest

from mixer.attributes import Duration, Timestamp
from mixer.client import CheckCacheSettings
from mixer.client.retry import Failure
from mixer.wire import mixer_v1_pb2 as pb
from tests.client.answers import ABSENCE, EXACT, REGEX, answer, exact, referenced
from tests.client.offline import Offline

ASKED = {"source.name": "web", "request.headers": {"user": "ann"}}


def _always(response: pb.CheckResponse, **settings: Any) -> Offline:
    return Offline(lambda *_: response, check_cache=CheckCacheSettings(**settings))


def _from_cache(client: Offline, *requests: dict[str, Any]) -> list[bool]:
    return [client.check(request).from_cache for request in requests]


@pytest.mark.parametrize("uses", [0, 1, 2, 5])
def test_an_answer_is_used_as_often_as_allowed(uses: int) -> None:
    """Then the server is asked again, and its new answer counts anew."""
    client = _always(answer(exact("source.name"), uses=uses))
    one_round = [False] + [True] * uses
    assert _from_cache(client, *[ASKED] * (2 * len(one_round))) == one_round * 2


def test_a_negative_use_count_is_no_bound() -> None:
    """As in Istio's client."""
    client = _always(answer(exact("source.name"), uses=-1))
    assert _from_cache(client, *[ASKED] * 1000) == [False] + [True] * 999


def test_an_answer_holds_as_long_as_the_server_says() -> None:
    """To the nanosecond, from when the server was asked."""
    client = _always(answer(exact("source.name"), seconds=2))
    assert _from_cache(client, ASKED, ASKED) == [False, True]
    client.clock.now += 2_000_000_000 - 1
    assert _from_cache(client, ASKED) == [True]
    client.clock.now += 1
    assert _from_cache(client, ASKED) == [False]


def test_time_on_the_way_counts() -> None:
    """An answer that was under way for as long as it holds is not kept."""
    client = Offline(lambda *_: client.clock.advance(2.0) or answer(seconds=2.0))
    assert _from_cache(client, ASKED, ASKED) == [False, False]


def test_an_answer_without_a_duration_is_not_kept() -> None:
    """Nor one whose duration is 0 or negative."""
    for seconds in (0.0, -1.0):
        assert _from_cache(_always(answer(seconds=seconds)), ASKED, ASKED) == [False, False]
    response = answer()
    response.precondition.ClearField("valid_duration")
    assert _from_cache(_always(response), ASKED, ASKED) == [False, False]


def test_an_answer_that_says_not_what_it_followed_from_is_not_kept() -> None:
    """It could follow from anything; one that says that it followed from nothing is for all."""
    assert _from_cache(_always(answer(None)), ASKED, ASKED) == [False, False]
    assert _from_cache(_always(answer(())), ASKED, {}, {"x": 1}) == [False, True, True]


@pytest.mark.parametrize(
    "reference",
    [
        ("source.name", None, REGEX),
        ("source.name", None, 0),
        ("source.name", None, 7),
        ("source.name", None, ABSENCE),
        ("source.ip", None, EXACT),
        ("request.headers", "user", ABSENCE),
        ("request.headers", "host", EXACT),
        ("request.headers", None, ABSENCE),
        ("source.name", "x", ABSENCE),
    ],
)
def test_what_cannot_be_a_key_is_not_kept(reference: Any) -> None:
    """Regular expressions, unknown conditions, and what does not agree with the request."""
    client = _always(answer([reference, ("source.name", None, EXACT)]))
    assert _from_cache(client, ASKED, ASKED) == [False, False]
    assert len(client.checks.answers.answers) == 0


@pytest.mark.parametrize("name", [222, 1 << 30, -3, -(1 << 31)])
@pytest.mark.parametrize("field", ["name", "map_key"])
def test_words_out_of_the_dictionary_are_not_kept(field: str, name: int) -> None:
    """Be it that the server knows more of them, or that there is no such word."""
    response = answer(None)
    said = response.precondition.referenced_attributes
    said.words.extend(["request.headers", "user"])
    match = said.attribute_matches.add(name=-1, map_key=-2, condition=EXACT)
    setattr(match, field, name)
    assert _from_cache(_always(response), ASKED, ASKED) == [False, False]


def test_endless_references_are_not_kept() -> None:
    """More than 1000."""
    names = [f"attribute.{n}" for n in range(1001)]
    asked = dict.fromkeys(names, "x")
    assert _from_cache(_always(answer(exact(*names))), asked, asked) == [False, False]
    assert _from_cache(_always(answer(exact(*names[1:]))), asked, asked) == [False, True]


_ALIKE = [
    "1", b"1", 1, 1.0, True, Timestamp(1), Duration(1),
    0, 0.0, -0.0, False, "", b"", Timestamp(0), Duration(0), {}, {"a": "1"},
    {"a": "1", "b": ""}, {"a": "", "b": "1"}, float("inf"), 1 << 62,
]  # fmt: skip


def test_no_two_values_share_an_answer() -> None:
    """Not those that Python takes to be equal, nor durations and times."""
    client = _always(answer(exact("value")))
    assert not any(_from_cache(client, *({"value": value} for value in _ALIKE)))
    assert all(_from_cache(client, *({"value": value} for value in _ALIKE)))
    nan = float("nan")
    assert _from_cache(client, {"value": nan}, {"value": nan + 1}) == [False, True]


def test_values_do_not_run_into_each_other() -> None:
    """Neither from one attribute into the next, nor from a key into its value."""
    client = _always(answer(exact("a", "b")))
    pairs = [("x", "yz"), ("xy", "z"), ("x\0y", "z"), ("x", "y\0z"), ("", "xyz")]
    assert not any(_from_cache(client, *({"a": a, "b": b} for a, b in pairs)))
    maps = [{"k": "v"}, {"kv": ""}, {"": "kv"}, {"k": "v", "": ""}]
    client = _always(answer(exact("m")))
    assert not any(_from_cache(client, *({"m": one} for one in maps)))


def test_the_presence_of_a_map_is_part_of_the_key() -> None:
    """Where an entry was looked up, a request without the map is another one."""
    client = _always(answer([("request.headers", "x", ABSENCE)]))
    with_map, without = {"request.headers": {"y": "1"}}, {"source.name": "web"}
    assert _from_cache(client, with_map, without, with_map, without) == [False, False, True, True]
    assert _from_cache(client, {"request.headers": {"y": "1", "x": ""}}) == [False]


def test_any_mapping_will_do() -> None:
    """And looking up in one that makes values as it is asked does not change it."""

    class Making(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            self[key] = "made"
            return "made"

    client = _always(answer([("a", None, EXACT), ("m", "k", EXACT)]))
    client.check({"a": "made", "m": {"k": "made"}})
    asked = Making(m=Making())
    assert not client.checks.kept(asked)
    assert asked == {"m": {}}


def test_several_reference_sets_live_side_by_side() -> None:
    """Each with its own answers."""

    def server(attributes: dict[str, Any], _: object) -> pb.CheckResponse:
        if attributes["a"] == 1:
            return answer(exact("a"), code=1)
        return answer(exact("a", "b"), code=attributes["b"])

    client = Offline(server)
    requests = [{"a": 1, "b": 5}, {"a": 2, "b": 6}, {"a": 2, "b": 7}, {"a": 1}]
    for _ in range(2):
        assert [client.check(request).code for request in requests] == [1, 6, 7, 1]
    assert len(client.requests) == 3


def test_a_set_of_use_is_found_first() -> None:
    """With a bound of two sets, the one that was used lately stays."""

    def server(attributes: dict[str, Any], _: object) -> pb.CheckResponse:
        return answer(exact(*attributes))

    client = Offline(server, check_cache=CheckCacheSettings(reference_sets=2))
    assert _from_cache(client, {"a": 1}, {"b": 1}, {"a": 1}, {"c": 1}) == [
        False,
        False,
        True,
        False,
    ]
    assert _from_cache(client, {"a": 1}, {"c": 1}, {"b": 1}) == [True, True, False]
    assert client.checks.answers.answers.evictions == 2


def test_the_least_recently_used_answer_goes_first() -> None:
    """Over the bound of entries."""
    client = _always(answer(exact("a")), entries=3)
    requests = [{"a": n} for n in range(4)]
    _from_cache(client, *requests[:3])
    assert _from_cache(client, requests[0], requests[3]) == [True, False]
    assert _from_cache(client, requests[0], requests[2], requests[3]) == [True] * 3
    assert _from_cache(client, requests[1]) == [False]
    client.checks.measure()
    assert (client.metrics.check_cache_entries, client.metrics.check_cache_evictions) == (3, 2)


def test_bytes_are_bounded_too() -> None:
    """Large values leave room for few; one that is larger than all is not kept."""
    client = _always(answer(exact("a")), max_bytes=100_000)
    _from_cache(client, *({"a": f"{n:010000}"} for n in range(100)))
    client.checks.measure()
    assert 5 <= client.metrics.check_cache_entries < 10
    assert client.metrics.check_cache_bytes <= 100_000
    assert _from_cache(client, {"a": "x" * 100_000}, {"a": f"{99:010000}"}) == [False, True]


def test_nothing_is_left_of_what_expired() -> None:
    """Keys, reference sets and bytes go with the answers."""
    client = _always(answer(exact("a"), uses=1))
    for n in range(100):
        client.check({"a": n})
    for n in range(100):
        assert client.check({"a": n}).from_cache
    client.checks.measure()
    assert (client.metrics.check_cache_entries, client.metrics.check_cache_bytes) == (0, 0)


def test_a_failure_is_not_kept() -> None:
    """Neither allowed nor refused by the policy."""
    for policy in ("FAIL_OPEN", "FAIL_CLOSE"):
        client = Offline(lambda *_: Failure(14, "down"), network_fail_policy=policy)
        assert [client.check(ASKED).failure for _ in range(2)] == ["gRPC code 14: down"] * 2
        assert len(client.requests) == 2


def test_source_ip_as_a_key_of_a_map_is_no_key() -> None:
    """Its index is 0, which says that there is none; such an answer is for the whole map."""
    response = answer(None)
    response.precondition.referenced_attributes.CopyFrom(referenced(("m", "source.ip", EXACT)))
    client = _always(response)
    response.precondition.referenced_attributes.attribute_matches[0].map_key = 0
    first, second = {"m": {"source.ip": "1"}}, {"m": {"source.ip": "1", "x": "y"}}
    assert _from_cache(client, first, second, first) == [False, False, True]
