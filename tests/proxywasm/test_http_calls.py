"""HTTP callouts: what is sent, what is told, and what is refused."""

from typing import Any

import pytest

from mixer.callouts.ports import NoCallouts
from mixer.proxywasm import LogLevel, ManualScheduler, Outcome
from mixer.proxywasm.pairs import deserialize, serialize
from mixer.proxywasm.vm_callouts import MAX_OPEN, MAX_OPEN_BYTES
from mixer.testing.callouts import FakeCallouts
from tests.support.guest import BYTES, OK, WORD, Answer, Call, Guest, Phase, call

NOT_FOUND, BAD_ARGUMENT, INTERNAL = 1, 2, 10
HEADERS = ((b":method", b"GET"), (b":path", b"/check"), (b":authority", b"auth"))


def http_call(
    cluster: bytes = b"auth",
    headers: Any = HEADERS,
    body: bytes = b"",
    trailers: Any = (),
    timeout: int = 0,
) -> Call:
    """A callout."""
    maps = (serialize(list(headers)), body, serialize(list(trailers)) if trailers else b"")
    return call("proxy_http_call", cluster, *maps, timeout, WORD)


def from_configure(one: Call) -> tuple[Guest, Answer]:
    """Make a callout while the plugin is configured."""
    guest = Guest(script=[one])
    (answer,) = guest.answers()
    return guest, answer


def test_what_is_sent() -> None:
    """Cluster, headers, body, trailers and timeout arrive; a body has its length."""
    one = http_call(
        headers=[(b":METHOD", b"POST"), *HEADERS[1:], (b"X-A", b"1"), (b"content-length", b"99")],
        body=b"body",
        trailers=[(b"t", b"2")],
        timeout=1500,
    )
    guest, answer = from_configure(one)
    (seen,) = guest.callouts.http_calls
    assert answer == Answer(OK, 4)
    assert seen.call.cluster == "auth"
    assert seen.call.headers == (
        (b":method", b"POST"), *HEADERS[1:], (b"x-a", b"1"), (b"content-length", b"4"),
    )  # fmt: skip
    assert (seen.call.body, seen.call.trailers) == (b"body", ((b"t", b"2"),))
    assert seen.call.timeout == 1.5
    guest.close()


def test_tokens_are_those_of_envoy() -> None:
    """The low two bits say what a token is for; the rest counts."""
    guest = Guest(script=[http_call(), http_call()])
    assert [a.data for a in guest.answers()] == [4, 8]
    guest.close()


def test_the_answer_is_told_to_the_plugin() -> None:
    """The root context is told token and sizes, and reads headers, body and trailers."""
    guest, _ = from_configure(http_call())
    guest.script(
        [
            call("proxy_get_header_map_value", 6, b":status", BYTES),
            call("proxy_get_header_map_pairs", 7, BYTES),
            call("proxy_get_buffer_bytes", 4, 0, 99, BYTES),
            call("proxy_get_status", WORD, 0x7F00, 0x7F08),
            call("proxy_get_header_map_size", 6, WORD),
            call("proxy_add_header_map_value", 6, b"a", b"b"),
            call("proxy_set_buffer_bytes", 4, 0, 0, b"x"),
        ],
        Phase.HTTP_CALL_RESPONSE,
    )
    guest.callouts.http_calls[0].respond(404, "gone", [("A", "1")], [("t", "2")])
    status, trailers, body, code, *writes = guest.answers()
    assert (status.data, body.data, code.data) == (b"404", b"gone", 0)
    assert deserialize(trailers.data) == [(b"t", b"2")]
    assert [w.status for w in writes] == [BAD_ARGUMENT] * 3
    assert guest.root is not None
    assert guest.events()[-1] == (Phase.HTTP_CALL_RESPONSE, guest.root.id, 4, 2)
    guest.close()


def test_nothing_is_left_after_the_callback() -> None:
    """The maps and the buffer of an answer are those of its callback alone."""
    guest, _ = from_configure(http_call())
    guest.callouts.http_calls[0].respond(200, "gone")
    value, body = guest.in_headers(
        call("proxy_get_header_map_value", 6, b":status", BYTES),
        call("proxy_get_buffer_bytes", 4, 0, 99, BYTES),
    )
    assert (value.status, body.status) == (BAD_ARGUMENT, NOT_FOUND)
    guest.close()


def test_an_abort_has_nothing() -> None:
    """A callout that was given up is told with nothing, and its status says so."""
    guest, _ = from_configure(http_call())
    guest.script([call("proxy_get_status", 0x7F00, BYTES)], Phase.HTTP_CALL_RESPONSE)
    guest.callouts.http_calls[0].abort()
    assert guest.answers()[0].data == b"reset"
    assert guest.events()[-1][3] == 0
    guest.close()


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (http_call(headers=HEADERS[:2]), "headers lack :authority"),
        (http_call(headers=[]), "headers lack :method, :path, :authority"),
        (call("proxy_http_call", b"auth", b"junk", b"", b"", 0, WORD), "headers lack :method"),
        (http_call(timeout=1 << 31), "timeout -2147483648 ms"),
    ],
)
def test_bad_arguments(one: Call, says: str) -> None:
    """What is wrong is refused, and the log names it."""
    guest, answer = from_configure(one)
    assert answer == Answer(BAD_ARGUMENT, 0)
    assert not guest.callouts.http_calls
    (line,) = [text for level, text in guest.logs if level is LogLevel.WARN]
    assert line.startswith("proxy_http_call answers BAD_ARGUMENT: ")
    assert says in line
    guest.close()


def test_host_stands_for_authority() -> None:
    """A host header is the authority."""
    guest, answer = from_configure(http_call(headers=[*HEADERS[:2], (b"Host", b"auth")]))
    assert answer.status == OK
    assert guest.callouts.http_calls[0].headers[":authority"] == "auth"
    guest.close()


def test_a_name_of_any_size_is_told_in_a_few_words() -> None:
    """A cluster that is called by megabytes is a bad argument, and no line of the log is long."""
    guest = Guest(script=[http_call(b"c" * 100_000)], services={"callouts": NoCallouts()})
    assert guest.answers() == [Answer(BAD_ARGUMENT, 0)]
    assert max(len(line) for _, line in guest.logs) < 200
    guest.close()


def test_unknown_cluster() -> None:
    """Without the cluster nothing is sent, and the log says which one."""
    from mixer.callouts.ports import NoCallouts

    guest = Guest(script=[http_call(b"nowhere")], services={"callouts": NoCallouts()})
    assert guest.answers() == [Answer(BAD_ARGUMENT, 0)]
    assert any("'nowhere'" in text for _, text in guest.logs)
    guest.close()


def test_an_unknown_cluster_takes_no_token() -> None:
    """What is not sent is not counted, as in Envoy."""
    callouts = FakeCallouts(clusters=["auth"])
    guest = Guest(script=[http_call(b"nowhere"), http_call()], services={"callouts": callouts})
    assert guest.answers() == [Answer(BAD_ARGUMENT, 0), Answer(OK, 4)]
    guest.close()


def test_a_cluster_that_takes_no_more() -> None:
    """A callout that cannot be sent is an internal failure, as in Envoy."""
    guest = Guest()
    guest.callouts.overloaded = True
    (answer,) = guest.in_headers(http_call())
    assert answer == Answer(INTERNAL, 0)
    guest.close()


def test_callouts_without_end_are_bounded() -> None:
    """A VM has so many open callouts and no more; one that is answered makes room."""
    with Guest() as guest:
        for _ in range(MAX_OPEN // 64):
            guest.in_headers(*[http_call()] * 64)
        assert guest.in_headers(http_call()) == [Answer(INTERNAL, 0)]
        guest.callouts.http_calls[0].respond()
        assert guest.in_headers(http_call())[0].status == OK
        assert guest.in_headers(http_call())[0].status == INTERNAL


def test_what_open_callouts_send_is_bounded() -> None:
    """The bodies of a VM's open callouts have a bound together."""
    size = 200_000
    large = call("proxy_http_call", b"auth", serialize(list(HEADERS)), 0, size, b"", 0, WORD)
    with Guest() as guest:
        sent = 0
        while guest.in_headers(large)[0].status == OK:
            sent += size
        assert 0 <= MAX_OPEN_BYTES - sent < 2 * size
        guest.callouts.http_calls[0].respond()
        assert guest.in_headers(large)[0].status == OK


def test_an_answer_after_the_stream_is_gone() -> None:
    """The plugin is told of a callout whose stream is deleted; acting for it is refused."""
    with Guest() as guest:
        guest.in_headers(http_call())
        stream = guest.events()[-1][1]
        guest.script([call("proxy_set_effective_context", stream)], Phase.HTTP_CALL_RESPONSE)
        guest.callouts.http_calls[0].respond()
        assert guest.answers() == [Answer(BAD_ARGUMENT)]


def test_a_closed_vm_gives_its_callouts_up() -> None:
    """Nothing is told to a VM that is gone."""
    guest, _ = from_configure(http_call())
    guest.close()
    assert guest.callouts.http_calls[0].over


def test_a_trap_in_the_answer_is_told_to_the_owner() -> None:
    """A module that traps while it is told of an answer loses its VM, and the owner is told."""
    guest, _ = from_configure(http_call())
    guest.script([call("proxy_get_buffer_bytes", 4, 0, 9, BYTES)], Phase.HTTP_CALL_RESPONSE)
    guest.memory.write_u32(0x2000, 1 << 20)  # the script has no end: it runs out of the memory
    guest.callouts.http_calls[0].respond()
    assert len(guest.failures) == 1
    assert guest.vm.closed


class Paused:
    """A stream that waits for a callout, and what wakes it."""

    def __init__(self, guest: Guest, phase: Phase = Phase.REQUEST_HEADERS, **stream: Any) -> None:
        self.guest = guest
        self.woken = 0
        guest.answer_with(phase, 1)
        self.context = guest.stream(**stream)
        guest.script([http_call()], phase)
        outcome = self.context.on_request_headers(end_of_stream=phase is Phase.REQUEST_HEADERS)
        if phase is Phase.REQUEST_BODY:
            outcome = self.context.on_request_body(end_of_stream=True)
        assert outcome is Outcome.PAUSE
        self.context.wait(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def answered(self, *calls: Call) -> list[Answer]:
        """Answer the callout; the module acts for the stream."""
        effective = call("proxy_set_effective_context", self.context.id)
        self.guest.script([effective, *calls], Phase.HTTP_CALL_RESPONSE)
        self.guest.callouts.http_calls[-1].respond()
        assert self.woken == 0  # later, never from within the callback
        assert isinstance(self.guest.time, ManualScheduler)
        self.guest.time.advance()
        return self.guest.answers()[1:]


@pytest.mark.parametrize(
    ("calls", "outcome"),
    [
        ([call("proxy_continue_stream", 0)], Outcome.CONTINUE),
        ([call("proxy_send_local_response", 403, b"", b"no", b"", -1)], Outcome.RESPOND),
        ([call("proxy_close_stream", 0)], Outcome.RESET),
    ],
)
def test_what_an_answer_makes_of_a_paused_stream(calls: list[Call], outcome: Outcome) -> None:
    """A paused stream is woken once, and then goes on, is answered, or is closed."""
    with Guest() as guest:
        paused = Paused(guest)
        assert [a.status for a in paused.answered(*calls)] == [OK] * len(calls)
        assert paused.woken == 1
        assert paused.context.on_resume() is outcome


def test_the_first_answer_counts() -> None:
    """A second local response changes nothing, nor does continuing a response that is not there."""
    with Guest() as guest:
        paused = Paused(guest)
        paused.answered(
            call("proxy_continue_stream", 1),
            call("proxy_send_local_response", 403, b"", b"one", b"", -1),
            call("proxy_send_local_response", 404, b"", b"two", b"", -1),
        )
        assert paused.context.on_resume() is Outcome.RESPOND
        local = paused.context.stream.local_response
        assert local is not None
        assert (local.status, local.body) == (403, b"one")


def test_an_answer_that_changes_nothing_wakes_nobody() -> None:
    """A stream stays paused until the module resumes it."""
    with Guest() as guest:
        paused = Paused(guest)
        paused.answered()
        assert paused.woken == 0


def test_headers_of_a_paused_stream_can_be_changed() -> None:
    """While a stream waits with its headers they are open, until it is resumed."""
    with Guest() as guest:
        paused = Paused(guest, headers=[(b"a", b"1")])
        read, first, _, second = paused.answered(
            call("proxy_get_header_map_value", 0, b"a", BYTES),
            call("proxy_replace_header_map_value", 0, b"a", b"2"),
            call("proxy_continue_stream", 0),
            call("proxy_replace_header_map_value", 0, b"a", b"3"),
        )
        assert (read.data, first.status, second.status) == (b"1", OK, BAD_ARGUMENT)
        assert paused.context.stream.request.headers["a"] == "2"


def test_body_of_a_paused_stream_can_be_changed() -> None:
    """A body that is held back is open to the answer of a callout, and goes on as that left it."""
    with Guest() as guest:
        paused = Paused(guest, Phase.REQUEST_BODY, body=b"body")
        read, write, _ = paused.answered(
            call("proxy_get_buffer_bytes", 0, 0, 99, BYTES),
            call("proxy_set_buffer_bytes", 0, 0, 99, b"another"),
            call("proxy_continue_stream", 0),
        )
        assert (read.data, write.status) == (b"body", OK)
        assert paused.context.on_resume() is Outcome.CONTINUE
        assert paused.context.stream.request.body == b"another"


def test_a_vm_that_closes_wakes_its_streams() -> None:
    """Who waits for a stream is told that its VM is gone."""
    guest = Guest()
    paused = Paused(guest)
    guest.close()
    guest.time.advance()
    assert paused.woken == 1
    assert paused.context.vm.closed
