"""What is noted of the callouts of a run."""

import pytest

from mixer.callouts.ports import (
    GrpcMethod,
    HttpCall,
    NotSentError,
    RedisTarget,
    UnknownClusterError,
)
from mixer.runner.callout_notes import MOST, NotedCallouts
from mixer.testing.callouts import FakeCallouts

_CALL = HttpCall("auth", ((b":method", b"POST"), (b":path", b"/check"), (b"token", b"secret")))
_METHOD = GrpcMethod(b"quota", "acme.Quota", "Take")
_GET = b"*2\r\n$3\r\nget\r\n$6\r\nsecret\r\n"


class _Events:
    def __init__(self) -> None:
        self.closed: list[int] = []

    def on_initial_metadata(self, metadata: object) -> None:
        pass

    def on_message(self, message: bytes) -> None:
        pass

    def on_trailing_metadata(self, metadata: object) -> None:
        pass

    def on_close(self, status: int, message: str) -> None:
        self.closed.append(status)


@pytest.fixture
def network() -> FakeCallouts:
    return FakeCallouts()


@pytest.fixture
def noted(network: FakeCallouts) -> NotedCallouts:
    return NotedCallouts(network)


def _told(noted: NotedCallouts) -> list[str]:
    return [f"{one.kind} {one.target}: {one.call} = {one.result}" for one in noted.notes]


def test_answers_are_told_and_noted(network: FakeCallouts, noted: NotedCallouts) -> None:
    """Each kind of callout goes on to the module, and its note says how it ended."""
    replies: list[object] = []
    noted.http_call(_CALL, replies.append)
    noted.http_call(_CALL, replies.append)
    noted.grpc_call(_METHOD, b"", replies.append)
    noted.grpc_call(_METHOD, b"", replies.append)
    redis = noted.redis(RedisTarget("cache?db=1", password="secret"))
    redis.call(_GET, replies.append)
    redis.call(_GET, replies.append)
    noted.resolve_dns("a.example", replies.append)
    noted.resolve_dns("b.example", replies.append)
    network.http_calls[0].respond(503, "busy")
    network.http_calls[1].abort()
    network.grpc_calls[0].respond(b"four")
    network.grpc_calls[1].fail(14, "down")
    network.redis_calls[0].respond(b"$-1\r\n")
    network.redis_calls[1].fail(2)
    network.dns_calls[0].respond("127.0.0.1", "::1")
    network.dns_calls[1].fail()
    assert len(replies) == 8
    assert _told(noted) == [
        "http auth: POST /check = 503, 4 bytes",
        "http auth: POST /check = reset",
        "grpc quota: acme.Quota/Take = status 0, 4 bytes",
        "grpc quota: acme.Quota/Take = status 14: down",
        "redis cache: GET = 5 bytes",
        "redis cache: GET = status 2",
        "dns a.example: lookup = 127.0.0.1, ::1",
        "dns b.example: lookup = failed",
    ]
    assert all(note.seconds is not None for note in noted.notes)
    assert "secret" not in repr(noted.notes)


def test_a_stream_is_noted_until_it_ends(network: FakeCallouts, noted: NotedCallouts) -> None:
    """Its messages are counted; the module's end of it counts too."""
    events = _Events()
    stream = noted.grpc_stream(_METHOD, events)
    stream.send(b"question", end_of_stream=False)
    noted.grpc_stream(_METHOD, events).reset()
    first, _ = network.grpc_streams
    assert first.sent == [(b"question", False)]
    for _ in range(2):
        first.events.on_message(b"answer")
    first.events.on_close(0, "")
    assert events.closed == [0]
    assert _told(noted) == [
        "grpc stream quota: acme.Quota/Take = status 0, 2 messages",
        "grpc stream quota: acme.Quota/Take = given up",
    ]


def test_what_is_not_sent_is_noted(noted: NotedCallouts, network: FakeCallouts) -> None:
    """A refusal goes on to the module, with its reason in the note."""
    network.overloaded = True
    with pytest.raises(NotSentError):
        noted.http_call(_CALL, lambda _reply: None)
    with pytest.raises(UnknownClusterError):
        NotedCallouts(FakeCallouts([])).resolve_dns("host", lambda _reply: None)
    assert _told(noted) == ["http auth: POST /check = not sent: the test lets nothing through"]
    assert noted.notes[0].as_json()["ms"] is None


def test_what_is_not_answered_is_noted(noted: NotedCallouts) -> None:
    """A callout that the module gave up is told from one that is open."""
    noted.http_call(_CALL, lambda _reply: None)()
    noted.http_call(_CALL, lambda _reply: None)
    assert [note.result for note in noted.notes] == ["given up", "not answered"]


def test_an_answered_callout_cannot_be_given_up(
    noted: NotedCallouts, network: FakeCallouts
) -> None:
    """The first end is the one that is noted."""
    cancel = noted.http_call(_CALL, lambda _reply: None)
    network.http_calls[0].respond(200)
    cancel()
    assert noted.notes[0].result == "200, 0 bytes"


def test_notes_are_bounded(noted: NotedCallouts) -> None:
    """A module that asks without end fills no memory."""
    for _ in range(MOST + 5):
        noted.http_call(_CALL, lambda _reply: None)
    assert len(noted.notes) == MOST
