"""The entries of the decision log, and who takes them."""

import contextvars
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mixer.attributes import AttributeBag, HeaderMap, PairSource
from mixer.engine import Decision, Request, Response, Verdict
from mixer.engine.cache.reads import (
    AttributeRead,
    BodyRead,
    HeaderRead,
    HeadersRead,
    PresenceRead,
    Read,
)
from mixer.engine.story import Seen, Story, Turn, Wanted
from mixer.telemetry.decision_log import (
    DecisionLogger,
    Entry,
    Masking,
    Recent,
    Sampling,
    Writer,
    entry_of,
    to_file,
)
from mixer.telemetry.tracing import enter_call
from tests.support.waiting import eventually

ALL = dict.fromkeys(Verdict, 100.0)
NONE = dict.fromkeys(Verdict, 0.0)


def asked(*headers: tuple[str, str], **attributes: Any) -> Request:
    pseudo = ((":method", "GET"), (":path", "/orders?key=hush"), (":authority", "shop.example"))
    known = {name.replace("_", ".").replace("..", "_"): value for name, value in attributes.items()}
    bag = AttributeBag({name: lambda s, n=name: s[n] for name in known}, known)
    return Request(HeaderMap.of(*pseudo, *headers), bag)


def told(*reads: Read, **more: Any) -> Decision:
    """A denial with a story in which one adapter looked at something."""
    story = Story(Wanted.LOG, began=1_700_000_000_000_000_000, clock=0)
    story.turns.append(Turn("auth", "r1", "request_headers", 1500, 20_000, "answered"))
    story.reads["auth"] = dict.fromkeys(reads)
    story.beyond["auth"] = {"time": None}
    story.duration = 30_000
    return Decision(Verdict.DENY, ("auth",), "auth", "why", story=story, **more)


def test_the_whole_entry() -> None:
    """It tells who asked, what was decided by whom and why, and how long it took."""
    request = asked(
        ("x-request-id", "r-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        source_address="10.0.0.1:5", source_principal="spiffe://a/b",
    )  # fmt: skip
    decision = told(HeaderRead(b"x-user"), response=Response(403), code=7, rule="r0")
    assert entry_of("ext_authz", request, decision) == {
        "time_unix_nano": 1_700_000_000_000_000_000,
        "id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "front_end": "ext_authz",
        "source_address": "10.0.0.1:5",
        "source_principal": "spiffe://a/b",
        "subject": "GET '/orders'",
        "host": "shop.example",
        "verdict": "deny",
        "adapter": "auth",
        "rule": "r0",
        "reason": "why",
        "status": 403,
        "grpc_code": 7,
        "cache": "miss",
        "duration_us": 30.0,
        "adapters": [
            {
                "name": "auth",
                "rule": "r1",
                "us": 20.0,
                "callbacks": [
                    {"callback": "request_headers", "at_us": 1.5, "us": 20.0,
                     "outcome": "answered"}
                ],
                "reads": ['request.headers["x-user"]'],
                "beyond": ["time"],
            }
        ],
    }  # fmt: skip


def test_the_trace_of_the_call() -> None:
    """It counts where the request has none: a proxy that traces may tell it only there."""
    call, own = "1" * 32, "2" * 32
    of_request = ("traceparent", f"00-{own}-b7ad6b7169203331-00")

    def entries() -> list[Entry]:
        enter_call(lambda: {"traceparent": f"00-{call}-b7ad6b7169203331-00"}.get)
        return [entry_of("x", asked(*some), told()) for some in ((), (of_request,))]

    found = contextvars.copy_context().run(entries)
    assert [one["trace_id"] for one in found] == [call, own]
    assert "trace_id" not in entry_of("x", asked(), told())


def test_a_host_with_a_password() -> None:
    """The host alone is told."""
    host = f"ann:{'hush' * 99}@shop.example:1"
    request = Request(HeaderMap.of((":authority", host)), AttributeBag({}, ()))
    assert entry_of("http", request, Decision(Verdict.ALLOW))["host"] == "shop.example:1"


def test_without_a_story() -> None:
    """What is known without one is told."""
    entry = entry_of("http", asked(), Decision(Verdict.ALLOW, ("a",), "a"), "2 of 2")
    assert {"time_unix_nano", "subject", "outcome", "adapter"} <= set(entry)
    assert "adapters" not in entry


SECRET_HEADERS = (
    "authorization", "Proxy-Authorization", "cookie", "x-api-key", "x_apikey", "x-auth",
    "x-session-id", "x-csrf-token", "x-amz-signature", "dpop", "x-bearer", "mine",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_secrets_are_masked(name: str) -> None:
    """By their names, and those that the configuration adds; also in maps of attributes."""
    request = asked((name.lower(), "hush"), request_headers={name: "hush"})
    looks = (HeaderRead(name.lower().encode()), AttributeRead("request.headers", (name,)))
    entry = entry_of("x", request, told(*looks), masking=Masking(["mine"]))
    assert set(entry["adapters"][0]["reads"].values()) == {"***"}
    assert "hush" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (HeaderRead(b"x-user"), "ann"),
        (HeaderRead(b"accept"), "text/html"),
        (HeaderRead(b"x-none"), "absent"),
        (HeaderRead(b":path"), "/orders?***"),
        (AttributeRead("request.path"), "/p?***"),
        (AttributeRead("request.query"), "***"),
        (AttributeRead("request.query_params", ("code",)), "***"),
        (AttributeRead("mixer.attribute", ("request.query_params", "code")), "***"),
        (AttributeRead("request.auth.raw_claims"), "***"),
        (HeaderRead(b"x-original-url"), "/o?***"),
        (AttributeRead("mixer.attribute", ("request.referer",)), "http://a/?***"),
        (AttributeRead("source.port"), "7"),
        (HeadersRead(), "***"),
        (BodyRead(), "***"),
        (AttributeRead("request.headers"), "***"),
        (HeaderRead(b"x-odd"), r"a\nb"),
        (HeaderRead(b"x-long"), "x" * 256 + "..."),
        (HeaderRead(b"x-binary"), r"\xff"),
    ],
)
def test_values(read: Read, value: str) -> None:
    """What is no secret is told on one line, bounded, without the query."""
    request = asked(
        ("x-user", "ann"), ("accept", "text/html"), ("x-odd", "a\nb"), ("x-long", "x" * 9000),
        ("x-original-url", "/o?q=hush"),
        request_path="/p?q=hush", request_query="q=hush", source_port=7, request_headers={"a": "b"},
        request_query__params={"code": "hush"}, request_auth_raw__claims="hush",
        mixer_attribute={"request.query_params": {"code": "hush"},
                         "request.referer": "http://a/?hush"},
    )  # fmt: skip
    pairs = [*request.headers.pairs(), (b"x-binary", b"\xff")]
    request = Request(HeaderMap(PairSource(pairs)), request.attributes)
    entry = entry_of("x", request, told(read), masking=Masking())
    assert list(entry["adapters"][0]["reads"].values()) == [value]


def after(changes: dict[Read, Seen | None], masking: Masking | None = None) -> Entry:
    """What is told of looks of an adapter that came after others."""
    decision = told()
    assert decision.story is not None
    decision.story.reads["auth"] = changes
    request = asked(("x-user", "ann"), ("x-a", "1"))
    adapter: Entry = entry_of("x", request, decision, masking=masking)["adapters"][0]
    return {key: adapter.get(key) for key in ("reads", "changed_by")}


CHANGES: dict[Read, Seen | None] = {
    HeaderRead(b"x-user"): Seen(b"eve", "one"),
    HeaderRead(b"x-gone"): Seen(None, "two"),
    HeaderRead(b"x-a"): None,
    AttributeRead("request.path"): Seen("/p?q=hush", ""),
    HeaderRead(b"x-api-key"): Seen(b"hush", "one"),
    AttributeRead("request.headers", ("mine",)): Seen("hush", "one"),
}


def test_values_that_others_had_changed() -> None:
    """They are told as they were seen, masked like those that came in, with who changed them."""
    found = after(CHANGES, Masking(["mine"]))
    assert found["reads"] == {
        'request.headers["x-user"]': "eve",
        'request.headers["x-gone"]': "absent",
        'request.headers["x-a"]': "1",
        "request.path": "/p?***",
        'request.headers["x-api-key"]': "***",
        'request.headers["mine"]': "***",
    }
    assert found["changed_by"] == {
        'request.headers["x-user"]': "one",
        'request.headers["x-gone"]': "two",
        "request.path": "",
        'request.headers["x-api-key"]': "one",
        'request.headers["mine"]': "one",
    }
    without_values = after(CHANGES)
    assert without_values["changed_by"] == found["changed_by"]
    assert without_values["reads"] == list(found["reads"])


def test_two_ways_to_one_value() -> None:
    """What was seen first is told."""
    read = AttributeRead("request.headers", ("x-user",))
    found = after({HeaderRead(b"x-user"): None, read: Seen("eve", "one")}, Masking())
    assert found == {"reads": {'request.headers["x-user"]': "ann"}, "changed_by": None}


def test_values_are_those_that_came_in() -> None:
    """Where no adapter had changed them at the look; and a later change is not lost by telling."""
    request = asked(("x-user", "ann"))
    request.headers.replace(b"x-user", b"eve")
    entry = entry_of("x", request, told(HeaderRead(b"x-user")), masking=Masking())
    assert entry["adapters"][0]["reads"] == {'request.headers["x-user"]': "ann"}
    assert request.headers.first(b"x-user") == b"eve"


def test_what_was_only_passed_through() -> None:
    """On the way to a key, a map is no look of its own."""
    looks = (
        PresenceRead("request.headers"),
        AttributeRead("request.headers", ("x",)),
        PresenceRead("metadata"),
    )
    entry = entry_of("x", asked(), told(*looks))
    assert entry["adapters"][0]["reads"] == ['request.headers["x"]', "metadata"]


def test_types_of_the_language_are_no_looks() -> None:
    """An expression asks for them like for attributes; one of such a name is told."""
    looks = (PresenceRead("string"), AttributeRead("bytes"), AttributeRead("int"))
    entry = entry_of("x", asked(int="7"), told(*looks), masking=Masking())
    assert entry["adapters"][0]["reads"] == {"int": "7"}


def test_shares() -> None:
    """A lot is drawn for each, by verdict; a story that was kept for the log is always told."""
    draws = iter([0.004, 0.006, 0.49, 0.51, 0.0])
    sampling = Sampling(
        0.5, {Verdict.ALLOW: 50, Verdict.DENY: 100, Verdict.ERROR: 0}, draws.__next__
    )
    assert [sampling.sampler(asked()) for _ in range(2)] == [Wanted.LOG, Wanted.NOTHING]
    assert [sampling.wants(Decision(Verdict.ALLOW)) for _ in range(2)] == [True, False]
    assert sampling.wants(Decision(Verdict.DENY))
    assert not sampling.wants(Decision(Verdict.ERROR))
    for wanted in (Wanted.LOG, Wanted.SPANS):
        story = Story(wanted)
        assert sampling.wants(Decision(Verdict.ERROR, story=story)) is (wanted is Wanted.LOG)


def test_too_many() -> None:
    """Decisions beyond the bound are counted, and not told."""
    found: list[Entry] = []
    lots = iter([True, False])
    log = DecisionLogger(Sampling(0, ALL), [found.append], lots.__next__)
    for _ in range(2):
        log.tell("x", asked(), Decision(Verdict.DENY), "")
    assert (len(found), log.told, log.too_many) == (1, 1, 1)


def test_what_is_remembered() -> None:
    """The last ones, found by either id, the newest first."""
    recent = Recent(2)
    for number in range(3):
        recent.take({"id": "same", "trace_id": f"t{number}"})
    assert [one["trace_id"] for one in recent.find("same")] == ["t2", "t1"]
    assert recent.find("t1") == [{"id": "same", "trace_id": "t1"}]
    assert recent.find("t0") == []


class Place:
    """Where entries are written; while it is held, nothing comes out."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.error: Exception | None = None
        self.calls = 0

    def write(self, entries: Sequence[Entry]) -> None:
        self.calls += 1
        self.goes_on.wait(30)
        if self.error is not None:
            raise self.error
        self.entries += entries


@pytest.fixture
def place() -> Iterator[Place]:
    """A place, let go at the end."""
    found = Place()
    yield found
    found.goes_on.set()


def test_everything_is_written_at_the_end(place: Place) -> None:
    """In order, and none is lost."""
    with Writer("here", "file", place.write, 5000) as writer:
        for number in range(3000):
            writer.take({"n": number})
    assert [one["n"] for one in place.entries] == list(range(3000))
    assert (writer.written, writer.dropped) == (3000, 0)


def test_a_place_that_does_not_take(place: Place) -> None:
    """Whoever brings entries never waits: what finds no room is dropped, and counted."""
    place.goes_on.clear()
    with Writer("here", "file", place.write, 10) as writer:
        writer.take({"n": -1})
        eventually(lambda: place.calls == 1)
        for number in range(100):
            writer.take({"n": number})
        assert writer.dropped == 90
        place.goes_on.set()
    assert [one["n"] for one in place.entries] == list(range(-1, 10))


def test_an_outage(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and its end too; what was not written is counted."""
    caplog.set_level(logging.INFO, logger="mixer.telemetry.decision_log.writing")
    place.error = OSError("no space left")
    with Writer("here", "file", place.write, 10) as writer:
        for number in range(2):
            writer.take({"n": number})
            eventually(lambda count=number + 1: writer.dropped == count)
        place.error = None
        writer.take({"n": 2})
        eventually(lambda: writer.written == 1)
    assert [record.getMessage() for record in caplog.records] == [
        "here takes no decisions: no space left",
        "here takes decisions again",
    ]


def test_a_file(tmp_path: Path) -> None:
    """Lines of JSON are appended, also after the file was moved away; it is private."""
    path = tmp_path / "decisions.jsonl"
    write = to_file(path)
    write([{"a": "ü\n"}, {"b": 1}])
    assert path.stat().st_mode & 0o077 == 0
    path.rename(tmp_path / "old")
    write([{"c": 2}])
    assert [json.loads(line) for line in (tmp_path / "old").read_text().splitlines()] == [
        {"a": "ü\n"}, {"b": 1}
    ]  # fmt: skip
    assert path.read_text() == '{"c":2}\n'


def test_a_folder_that_disappears(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, by the reason alone; and when it is there again."""
    caplog.set_level(logging.INFO, logger="mixer.telemetry.decision_log.writing")
    folder = tmp_path / "no"
    with Writer("here", "file", to_file(folder / "a"), 10) as writer:
        writer.take({"n": 1})
        eventually(lambda: writer.dropped == 1)
        folder.mkdir()
        writer.take({"n": 2})
        eventually(lambda: writer.written == 1)
    assert [record.getMessage() for record in caplog.records] == [
        "here takes no decisions: No such file or directory",
        "here takes decisions again",
    ]


def test_a_line_that_was_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one has a line of its own."""
    path = tmp_path / "decisions.jsonl"
    write = to_file(path)
    with monkeypatch.context() as patched:
        patched.setattr(
            "mixer.telemetry.decision_log.writing.lines_of", lambda _entries: '{"cut\ud800'
        )
        with pytest.raises(UnicodeEncodeError):
            write([{"a": 1}])
    path.write_text('{"cut')
    write([{"b": 2}])
    assert path.read_text() == '{"cut\n{"b":2}\n'
