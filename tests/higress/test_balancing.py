"""The load balancer's plugins together: what one stores with the stream, the next one reads."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mixer.proxywasm import RootContext, Services
from tests.higress.balancing import ASKED, CONTEXT, FIRST, SECOND, TARGET
from tests.higress.cases import Response, Seen
from tests.higress.host import Answers, Host, logging_to, through
from tests.higress.messages import chat
from tests.higress.redis_server import running

UNDER_WAY = b"KEYS {lb}:inflight:*\r\n"
AFFINITY = {"sessionKeys": [{"header": "session_id"}]}


@contextmanager
def chain(host: Host, services: Services, **more: Any) -> Iterator[list[RootContext]]:
    """All of them, in the order of their documentation."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(host.started(plugin, configuration, services))
            for plugin, configuration in (
                ("gpustack-lb", {**CONTEXT, **more}),
                ("gpustack-lb-session-affinity", AFFINITY),
                ("gpustack-lb-least-load", {"weight": 0.5}),
                ("gpustack-lb", {"mode": "finisher", **more}),
            )
        ]


def target(seen: Seen) -> str:
    assert seen.upstream is not None
    return dict(seen.upstream.headers)[TARGET]


def test_sessions_stick(host: Host) -> None:
    """A session goes to one instance, and sessions to all."""
    with chain(host, logging_to([])) as plugins:
        targets = [
            [
                target(through(plugins, chat("hi", ASKED, ("session_id", session)), Response()))
                for session in "abcdefgh"
            ]
            for _ in range(2)
        ]
    assert targets[0] == targets[1]
    assert set(targets[0]) == {FIRST, SECOND}


def test_state_in_redis(host: Host) -> None:
    """With Redis both roles wait for it: one reserves an instance, and its end releases that."""
    with running() as redis:
        callouts = Answers(redis=redis.answer)
        shared = {"redis": {"service_name": "redis.static", "key_prefix": "lb"}}
        with chain(host, logging_to([], callouts), **shared) as plugins:
            seen = through(plugins, chat("hi", ASKED, ("session_id", "a")), Response())
            assert target(seen) in {FIRST, SECOND}
            assert target(seen).encode() in redis.ask(UNDER_WAY)
            (release,) = [call for call in callouts.redis_calls if not call.over]
            redis.answer(release)
        assert redis.ask(UNDER_WAY) == b"*0\r\n"
