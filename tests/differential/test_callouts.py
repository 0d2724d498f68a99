"""HTTP callouts: the same in Envoy's own filter and here, to a real server."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.differential.exchange import (
    CALLED,
    REFUSED,
    Message,
    Scenario,
    Seen,
    through_envoy,
    through_the_runner,
)
from tests.differential.scripted_exchange import (
    Script,
    Step,
    add,
    answer,
    body,
    callout,
    close,
    effective,
    pairs,
    pause_until_end,
    replace,
    respond,
    resume,
    set_body,
    size,
    status,
    value,
)

UPLOAD = Message((b"up", b"load"))
TRAILED = Message((b"a", b"bc"), (("x-sum", "7"),), (("x-called", "1"),))
READ = [
    value(6, ":status"), value(6, "x-called"), value(6, "x-none"), size(6, told=False),
    pairs(7), size(7, told=False), body(4), status, value(0, "x-up"), add(6, "x", "y"),
    add(7, "x", "y"), set_body(4, "x"), body(0), body(1), body(5), value(4, "x"), value(5, "x"),
]  # fmt: skip


def headers(path: str, **more: str) -> list[tuple[bytes, bytes]]:
    """Headers of a callout."""
    pseudo = {":method": "POST", ":path": path, ":authority": "called"}
    return [(n.encode(), v.encode()) for n, v in (pseudo | more).items()]


def asks(
    name: str, *then: Step, cluster: str = CALLED, text: str = "", wait: int = 1, **more: str
) -> list[Step]:
    """Make a callout whose answer is that of a scenario, and wait for it."""
    return [callout(cluster, headers(f"/called/{name}", **more), text), *then, answer(wait)]


def scenario(name: str, *told: Step, **options: object) -> Scenario:
    """A request that waits in its headers, and what the module does with the answer."""
    script: Script = {"request_headers": asks(name), "http_call_response": told}
    return Scenario(script, **options)  # type: ignore[arg-type]


def in_phase(
    name: str, phase: str, told: Sequence[Step], before: Sequence[Step] = (), **options: object
) -> Scenario:
    """A callout from another phase."""
    script = {phase: [*before, *asks(name)], "http_call_response": told}
    return Scenario(script, UPLOAD, **options)  # type: ignore[arg-type]


SCENARIOS = {
    "read": scenario("read", *READ, effective, *READ, resume(0)),
    "trailers": scenario("trailers", *READ, effective, resume(0), called=TRAILED),
    "empty": scenario("empty", *READ, effective, resume(0), called=Message(status=204)),
    "refused": Scenario(
        {
            "request_headers": asks("refused", cluster=REFUSED),
            "http_call_response": [value(6, ":status"), value(6, "content-type"),
                                   value(6, "content-length"), size(7, told=False), status,
                                   effective, resume(0)],
        },
        UPLOAD,
    ),
    "changed": scenario(
        "changed", effective, value(0, "x-late"), add(0, "x-late", "1"), value(0, "x-late"),
        resume(0), add(0, "x-later", "2"), value(0, "x-late"), pairs(1),
    ),
    "denied": scenario("denied", effective, respond(403, "no", b"", "d")),
    "closed": scenario("closed", effective, close(0)),
    "no-effect": scenario("no-effect", resume(0), effective, resume(0)),
    "resumed-twice": scenario("resumed-twice", effective, resume(0), resume(0)),
    "denied-then-resumed": scenario(
        "denied-then-resumed", effective, respond(403, "a"), resume(0)
    ),
    "not-resumed": scenario("not-resumed", effective, value(0, "x-up"), hangs=True),
    "body-buffered": in_phase(
        "body-buffered", "request_body",
        [effective, body(0), set_body(0, "new"), body(0), add(0, "x-late", "1"), resume(0)],
        [pause_until_end()],
    ),
    "body-grown": in_phase(
        "body-grown", "request_body", [effective, set_body(0, ">", 0, 0), body(0), resume(0)],
        [pause_until_end()],
    ),
    "body-denied": in_phase(
        "body-denied", "request_body", [effective, respond(413, "big")], [pause_until_end()]
    ),
    "response-headers": in_phase(
        "response-headers", "response_headers",
        [effective, value(2, "content-type"), replace(2, "content-type", "a/b"),
         add(2, "x-late", "1"), resume(1), add(2, "x-later", "1")],
        response=Message(headers=(("content-type", "text/plain"),)),
    ),
    "response-replaced": in_phase(
        "response-replaced", "response_headers", [effective, respond(502, "bad")]
    ),
    "response-body": in_phase(
        "response-body", "response_body",
        [effective, body(1), set_body(1, "changed"), resume(1)], [pause_until_end()],
    ),
    "response-broken-off": in_phase(
        "response-broken-off", "response_body", [effective, respond(502, "bad")],
        [pause_until_end()],
    ),
    "from-the-answer": Scenario(
        {
            "request_headers": [
                *asks("from-the-answer", text="sent", **{"x-a": "1", "content-length": "99"})
            ],
            "http_call_response": [effective, pairs(7), resume(0)],
        }
    ),
    "bad-arguments": Scenario(
        {
            "request_headers": [
                callout("nowhere", headers("/")),
                callout(CALLED, headers("/")[1:]),
                callout(CALLED, headers("/")[:2]),
                callout(CALLED, []),
                callout(CALLED, headers("/called/bad-arguments"), timeout=-5),
                callout(CALLED, [(b"host", b"a"), *headers("/called/bad-arguments")[:2]]),
                answer(1),
            ],
            "http_call_response": [value(6, ":status"), effective, resume(0)],
        },
    ),
    "late": Scenario(
        {
            "request_headers": [callout(CALLED, headers("/called/late")), respond(403, "no")],
            "http_call_response": [value(6, ":status"), effective],
        },
        called=Message((b"late",) * 5),
        ends_with="effective",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every scenario in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("callouts")))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, in_envoy: dict[str, Seen]) -> None:
    """The client sees the same, and the module logs the same."""
    assert through_the_runner(SCENARIOS[name], name) == in_envoy[name]
