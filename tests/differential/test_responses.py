"""Response callbacks, trailers and pieces of bodies: the same in Envoy's own filter and here."""

import asyncio
from pathlib import Path

import pytest

from mixer.proxywasm.pairs import serialize
from tests.differential.exchange import Message, Scenario, Seen, through_envoy, through_the_runner
from tests.differential.scripted_exchange import (
    Step,
    add,
    answer,
    body,
    close,
    drop_at,
    number,
    pairs,
    pause_until_end,
    prop,
    remove,
    replace,
    respond,
    resume,
    set_body,
    size,
    value,
)

PIECES = Message((b"one", b"two", b"three"), headers=(("content-type", "text/plain"),))
TRAILED = Message((b"one", b"two"), (("x-sum", "7"),), (("content-type", "text/plain"),))
UPLOAD = Message((b"up", b"load"))
TRAILED_UPLOAD = Message((b"up", b"load"), (("x-sum", "7"),))
NO_BODY = Message(headers=(("x-a", "1"),), status=404)
MANY = Message((b"hi",), headers=(("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
OWN_HEADER = serialize([(b"X-Own", b"o")])

MAPS: list[Step] = [
    *(step for kind in (0, 1, 2, 3) for step in (value(kind, "x-a"), add(kind, "x-new", "n"))),
    *(size(kind, told=False) for kind in (0, 1, 2, 3)),
    *(remove(kind, "x-new") for kind in (0, 1, 2, 3)),
    *(pairs(kind) for kind in (1, 2, 3)),
]
BODIES = [body(0), body(1), set_body(0, "x", 65536), set_body(1, "x", 65536)]
FACTS = [
    number("response", "code"),
    prop("response", "code_details"),
    number("response", "grpc_status"),
    number("response", "flags"),
    prop("response", "headers", "x-a"),
    prop("response", "trailers", "x-sum"),
    prop("request", "headers", "x-up"),
    number("request", "size"),
    number("request", "duration", told=False),
    number("request", "total_size", told=False),
]
EVERYWHERE = (
    "request_headers", "request_body", "request_trailers",
    "response_headers", "response_body", "response_trailers", "log", "done",
)  # fmt: skip

SCENARIOS = {
    "life": Scenario({}, UPLOAD, PIECES),
    "life-trailers": Scenario({}, TRAILED_UPLOAD, TRAILED),
    "life-headers": Scenario({}, Message(), NO_BODY),
    "life-old": Scenario({}, TRAILED_UPLOAD, TRAILED, abi="0_1_0"),
    "maps": Scenario(dict.fromkeys(EVERYWHERE, MAPS), TRAILED_UPLOAD, TRAILED),
    "maps-old": Scenario(dict.fromkeys(EVERYWHERE, MAPS), TRAILED_UPLOAD, TRAILED, abi="0_1_0"),
    "bodies": Scenario(dict.fromkeys(EVERYWHERE, BODIES), TRAILED_UPLOAD, TRAILED),
    "facts": Scenario(dict.fromkeys(EVERYWHERE, FACTS), TRAILED_UPLOAD, TRAILED),
    "facts-no-body": Scenario(dict.fromkeys(EVERYWHERE, FACTS), Message(), NO_BODY),
    "facts-local": Scenario(
        {**dict.fromkeys(EVERYWHERE, FACTS), "request_headers": [respond(403, "no", b"", "d e")]}
    ),
    "headers": Scenario(
        {
            "response_headers": [
                pairs(2), remove(2, "x-a"), replace(2, "x-b", "5"), add(2, "x-c", "4"),
                replace(2, ":status", "418"), pairs(2), size(2),
            ],
            "log": [pairs(2), value(2, "x-c")],
        },
        response=MANY,
    ),
    "body-replaced": Scenario(
        {"response_body": [body(1), set_body(1, "new"), body(1)]}, response=PIECES
    ),
    "body-buffered": Scenario(
        {"response_body": [body(1), pause_until_end(), set_body(1, "new")]}, response=PIECES
    ),
    "body-held-in-part": Scenario(
        {"response_body": [body(1), set_body(1, ">", 0, 0), pause_until_end(2)]}, response=PIECES
    ),
    "body-dropped": Scenario({"response_body": [body(1), pause_until_end(3)]}, response=PIECES),
    "body-for-trailers": Scenario(
        {"response_body": [body(1), answer(1)], "response_trailers": [body(1), pairs(3)]},
        response=TRAILED,
    ),
    "upload-for-trailers": Scenario(
        {
            "request_body": [body(0), answer(1)],
            "request_trailers": [body(0), set_body(0, "+", 65536), body(0), pairs(1), body(1)],
        },
        TRAILED_UPLOAD,
    ),
    "trailers-made": Scenario(
        {
            "response_body": [pairs(3), value(3, "x-t"), pause_until_end(0),
                              add(3, "x-t", "1"), replace(3, "x-u", "2"), pairs(3)],
            "log": [pairs(3)],
        },
        response=PIECES,
    ),
    "trailers-changed": Scenario(
        {"response_trailers": [add(3, "x-t", "1"), remove(3, "x-sum"), pairs(3), size(3)]},
        response=TRAILED,
    ),
    "held-headers": Scenario(
        {
            "response_headers": [answer(1)],
            "response_body": [pause_until_end(), value(2, "content-type"),
                              replace(2, "content-type", "a/b"), set_body(1, "new")],
        },
        response=PIECES, stop_iteration=True,
    ),
    "local": Scenario(
        {
            "request_headers": [respond(403, "no", OWN_HEADER, "d")],
            "response_headers": [pairs(2), add(2, "x-more", "m")],
            "response_body": [body(1), set_body(1, "NO")],
            "log": [pairs(2)],
        }
    ),
    "local-empty": Scenario(
        {"request_headers": [respond(204)], "response_headers": [pairs(2)], "log": [pairs(2)]}
    ),
    "local-typed": Scenario(
        {
            "request_headers": [
                respond(400, "{}", serialize([(b"Content-Type", b"application/json")]))
            ],
            "response_headers": [pairs(2)],
        }
    ),
    "local-twice": Scenario(
        {
            "request_headers": [respond(403, "no"), respond(404, "not")],
            "response_headers": [respond(500, "other")],
            "log": [pairs(2)],
        }
    ),
    "local-broken-off": Scenario(
        {"request_headers": [respond(403, "no")], "response_body": [respond(500, "other")]}
    ),
    "local-from-body": Scenario(
        {"request_body": [respond(413, "big")], "response_headers": [pairs(2)]}, UPLOAD
    ),
    "local-from-trailers": Scenario(
        {"request_trailers": [respond(413, "big")], "response_headers": [pairs(2)]},
        TRAILED_UPLOAD,
    ),
    "local-from-response-headers": Scenario(
        {"response_headers": [respond(502, "bad", OWN_HEADER)], "log": [pairs(2)]}, response=PIECES
    ),
    "local-from-response-body": Scenario({"response_body": [respond(502, "bad")]}, response=PIECES),
    "local-from-response-trailers": Scenario(
        {"response_trailers": [respond(502, "bad")]}, response=TRAILED
    ),
    "local-from-held": Scenario(
        {"response_headers": [answer(1)], "response_body": [respond(502, "bad")]},
        response=PIECES, stop_iteration=True,
    ),
    "paused-headers": Scenario({"response_headers": [answer(1)]}, response=PIECES, hangs=True),
    "resumed-other": Scenario(
        {"response_headers": [resume(0), add(2, "x-d", "4"), pairs(2)]}, response=PIECES
    ),
    "dropped-while-held": Scenario(
        {"response_body": [body(1), drop_at(6), pause_until_end()]}, response=PIECES
    ),
    "trailers-paused": Scenario(
        {"response_trailers": [answer(1)], "log": [pairs(3)]}, response=TRAILED, hangs=True
    ),
    "body-paused": Scenario({"response_body": [answer(1)]}, response=PIECES, hangs=True),
    "resumed-body": Scenario(
        {"response_body": [resume(1), body(1), set_body(1, "x", 65536)]}, response=PIECES
    ),
    "closed": Scenario({"response_headers": [close(1)]}, response=PIECES),
    "closed-in-body": Scenario({"response_body": [close(1)]}, response=PIECES),
}  # fmt: skip


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every scenario in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("scenarios")))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, in_envoy: dict[str, Seen]) -> None:
    """The client sees the same, and the module logs the same."""
    assert through_the_runner(SCENARIOS[name]) == in_envoy[name]
