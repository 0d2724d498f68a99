"""Redis callouts of Higress's ABI."""

from unittest.mock import Mock

import pytest

from mixer.callouts.ports import Cancel, NoCallouts, Redis, RedisTarget
from mixer.proxywasm.hostcalls.redis_calls import MAX_LOGIN_BYTES
from mixer.proxywasm.vm_callouts import MAX_REDIS
from mixer.testing.callouts import FakeCallouts
from tests.support.guest import BYTES, OK, WORD, Answer, Call, Guest, Phase, call

BAD_ARGUMENT, INTERNAL = 2, 10
PING = b"*1\r\n$4\r\nPING\r\n"
TOKEN = 7


def init(service: bytes = b"redis", timeout: int = 250) -> Call:
    """Name a server."""
    return call("proxy_redis_init", service, b"user", b"secret", timeout)


def query(service: bytes = b"redis") -> Call:
    """Send a command."""
    return call("proxy_redis_call", service, PING, WORD)


def test_call_and_answer() -> None:
    """A command goes to the server that was named, and its answer is told as raw RESP."""
    guest = Guest(script=[init(), query()])
    assert guest.answers() == [Answer(OK), Answer(OK, TOKEN)]
    (seen,) = guest.callouts.redis_calls
    assert seen.target == RedisTarget("redis", "user", "secret", 0.25)
    assert seen.query == PING
    guest.script([call("proxy_get_buffer_bytes", 9, 0, 99, BYTES)], Phase.REDIS_CALL_RESPONSE)
    seen.respond(b"+PONG\r\n")
    assert guest.answers()[0].data == b"+PONG\r\n"
    assert guest.root is not None
    assert guest.events()[-1] == (Phase.REDIS_CALL_RESPONSE, guest.root.id, TOKEN, 0)
    guest.close()


def test_settings_behind_the_name() -> None:
    """Higress's SDK repeats them in no call: the cluster's name alone finds the server."""
    with_settings = b"redis?db=1&buffer_flush_timeout=3&max_buffer_size_before_flush=1024"
    guest = Guest(script=[init(with_settings), query(), query(with_settings)])
    assert [a.status for a in guest.answers()] == [OK] * 3
    services = [one.target.service for one in guest.callouts.redis_calls]
    assert services == [with_settings.decode()] * 2
    guest.close()


def test_a_call_that_fails() -> None:
    """The status is told, and there is nothing to read."""
    guest = Guest(script=[init(), query()])
    guest.script([call("proxy_get_buffer_bytes", 9, 0, 99, BYTES)], Phase.REDIS_CALL_RESPONSE)
    guest.callouts.redis_calls[0].fail(2)
    assert guest.answers() == [Answer(OK, b"")]
    assert guest.events()[-1][3] == 2
    guest.close()


def test_logins_of_any_size_are_not_kept() -> None:
    """A VM keeps its logins for as long as it lives: one of megabytes is a bad argument."""
    long = call("proxy_redis_init", b"redis?" + bytes(MAX_LOGIN_BYTES), b"user", b"secret", 250)
    with Guest(script=[long, query(bytes(MAX_LOGIN_BYTES + 1))]) as guest:
        assert [a.status for a in guest.answers()] == [BAD_ARGUMENT] * 2
        assert max(len(line) for _, line in guest.logs) < 200


def test_a_server_that_was_not_named() -> None:
    """Without its init a call is a bad argument, and the log says so."""
    guest = Guest(script=[query()])
    assert guest.answers() == [Answer(BAD_ARGUMENT, 0)]
    assert any("no proxy_redis_init for 'redis'" in text for _, text in guest.logs)
    guest.close()


class _Particular(FakeCallouts):
    """Servers of which none takes the query."""

    def redis(self, target: RedisTarget) -> Redis:
        server = super().redis(target)

        def refuse(*_: object) -> Cancel:
            raise ValueError("the query is no complete RESP")

        return Mock(spec=server, call=refuse)


def test_a_query_that_is_no_resp() -> None:
    """It is a bad argument, and the log says so."""
    guest = Guest(script=[init(), query()], services={"callouts": _Particular()})
    assert guest.answers() == [Answer(OK), Answer(BAD_ARGUMENT, 0)]
    assert any("no complete RESP" in text for _, text in guest.logs)
    guest.close()


@pytest.mark.parametrize(
    ("one", "says"), [(init(), "no cluster 'redis'"), (init(timeout=0), "timeout 0 ms")]
)
def test_bad_init(one: Call, says: str) -> None:
    """An unknown cluster or no timeout is refused, and no secret is logged."""
    guest = Guest(script=[one], services={"callouts": NoCallouts()})
    assert guest.answers() == [Answer(BAD_ARGUMENT)]
    assert any(says in text for _, text in guest.logs)
    assert not any("secret" in text for _, text in guest.logs)
    guest.close()


def test_another_login_is_for_later_calls() -> None:
    """After a second init new calls use its login; those before are answered still."""
    other = call("proxy_redis_init", b"redis", b"user", b"another", 250)
    guest = Guest(script=[init(), query(), init(), query(), other, query()])
    assert [a.status for a in guest.answers()] == [OK] * 6
    first, second, third = guest.callouts.redis_calls
    assert [c.target.password for c in (first, second, third)] == ["secret", "secret", "another"]
    first.respond(b"+PONG\r\n")
    assert guest.events()[-1][0] is Phase.REDIS_CALL_RESPONSE
    guest.close()
    assert second.over
    assert third.over


def test_servers_without_end_are_bounded() -> None:
    """A VM can name so many servers and no more."""
    with Guest() as guest:
        for number in range(MAX_REDIS):
            assert guest.in_headers(init(b"%d" % number))[0].status == OK
        assert guest.in_headers(init(b"more"))[0].status == INTERNAL
        assert guest.in_headers(init(b"0"))[0].status == OK
