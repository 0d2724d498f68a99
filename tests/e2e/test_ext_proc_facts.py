"""What the real Envoy sends over ext_proc and what it makes of answers: the codec relies on it.

The service here is a recorder that answers as each scenario says. Where one of these fails with
another Envoy, look at `mixer.api.ext_proc` for what followed from it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api import ext_proc
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.exchange import Message
from tests.e2e.pieces import Came, Upstream, cluster_of, exchange, upstream
from tests.e2e.stack import START_TIMEOUT_S

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

SCENARIO = "x-scenario"
DUPLEX = "FULL_DUPLEX_STREAMED"
POST = Message((b"one", b"two"))
Response = external_processor_pb2.ProcessingResponse

END = "end"
"""In place of an answer: end the stream without an error."""
FAIL = "fail"
"""Likewise, with one."""

Answer = Callable[[Any], Iterable[Any]]


def plain(message: Any, **more: Any) -> list[Any]:
    """Let it go on."""
    response = Response(**more)
    getattr(response, message.WhichOneof("request")).SetInParent()
    return [response]


def echo(message: Any) -> list[Any]:
    """Let it go on in full duplex."""
    kind = message.WhichOneof("request")
    if not kind.endswith("_body"):
        return plain(message)
    content = getattr(message, kind)
    return [streamed(kind, content.body, end=content.end_of_stream)]


def streamed(kind: str, body: bytes, *, end: bool) -> Any:
    """A piece that goes on in full duplex."""
    response = Response()
    piece = getattr(response, kind).response.body_mutation.streamed_response
    piece.body, piece.end_of_stream = body, end
    return response


def with_trailers(message: Any) -> list[Any]:
    """Let it go on in full duplex, with trailers behind the end of a body."""
    kind = message.WhichOneof("request")
    answers = echo(message)
    if kind.endswith("_body") and getattr(message, kind).end_of_stream:
        trailers = Response()
        mutation = getattr(trailers, kind.replace("body", "trailers")).header_mutation
        mutation.set_headers.add().header.key = "x-made"
        answers.append(trailers)
    return answers


def setting(kind: str, *options: tuple[str, bytes, str], body: bytes | None = None) -> Any:
    """Set headers: name, value, and ``append`` or an action."""
    response = Response()
    common = getattr(response, kind).response
    for name, value, how in options:
        option = common.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, value
        if how == "append":
            option.append.value = True
        else:
            option.append_action = option.HeaderAppendAction.Value(how)
    if body is not None:
        common.body_mutation.body = body
    return response


def immediate(status: int, **fields: Any) -> Any:
    """An answer in place of the upstream's."""
    response = Response()
    response.immediate_response.MergeFrom(external_processor_pb2.ImmediateResponse(**fields))
    response.immediate_response.status.code = status
    return response


def at(kind: str, *answers: Any, otherwise: Answer = plain) -> Answer:
    """Answer messages of one kind so."""
    return lambda m: answers if m.WhichOneof("request") == kind else otherwise(m)


OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"


@dataclass
class Scenario:
    """A filter and what it is answered.

    Attributes:
        answer: To a message.
        request: Mode of the request's body.
        response: Mode of the response's.
        trailers: Whether trailers are sent.
        options: Other fields of the filter.
        sent: The messages that came, last stream only.
    """

    answer: Answer = plain
    request: str = "NONE"
    response: str = "NONE"
    trailers: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """What the messages were about; those with an end are marked."""
        return [_kind(one) for one in self.sent]


def _kind(message: Any) -> str:
    kind: str = message.WhichOneof("request")
    ends = getattr(getattr(message, kind), "end_of_stream", False)
    return f"{kind}!" if ends else kind


MORE_TIME = Response(override_message_timeout={"seconds": 5})
OVERRIDING = {"allow_mode_override": True}
SCENARIOS = {
    "none": Scenario(trailers=True),
    "buffered": Scenario(request="BUFFERED", response="BUFFERED", trailers=True),
    "streamed": Scenario(request="STREAMED", response="STREAMED", trailers=True),
    "duplex": Scenario(echo, DUPLEX, DUPLEX, trailers=True),
    "observing": Scenario(
        lambda _: [], "STREAMED", "STREAMED",
        options={"observability_mode": True, "deferred_close_timeout": "0.1s"},
    ),
    "appends": Scenario(at("request_headers", setting(
        "request_headers",
        ("x-action", b"1", OVERWRITE), ("x-action", b"2", "APPEND_IF_EXISTS_OR_ADD"),
        ("x-append", b"1", OVERWRITE), ("x-append", b"2", "append"),
        ("x-bytes", b"\xff", OVERWRITE), ("x-empty", b"", OVERWRITE),
    ))),
    "wrong-length": Scenario(
        at("request_body", setting("request_body", body=b"longer than it was")), "BUFFERED"
    ),
    "right-length": Scenario(at("request_body", setting(
        "request_body", ("content-length", b"6", OVERWRITE), body=b"longer"
    )), "BUFFERED"),
    "streamed-late": Scenario(
        at("request_body", setting("request_body", ("x-late", b"1", OVERWRITE))), "STREAMED"
    ),
    "buffered-late": Scenario(
        at("request_body", setting("request_body", ("x-late", b"1", OVERWRITE))), "BUFFERED"
    ),
    "status-0": Scenario(lambda _: [immediate(0)]),
    "status-199": Scenario(lambda _: [immediate(199)]),
    "ends": Scenario(lambda m: [*plain(m), END]),
    "ends-silently": Scenario(lambda _: [END]),
    "ends-duplex": Scenario(at("request_body", END), DUPLEX, DUPLEX, trailers=True),
    "fails": Scenario(lambda _: [FAIL]),
    "fails-open": Scenario(lambda _: [FAIL], options={"failure_mode_allow": True}),
    "other-kind-open": Scenario(
        lambda _: [Response(response_body={})], options={"failure_mode_allow": True}
    ),
    "more-time": Scenario(
        lambda m: [MORE_TIME, 0.5, *plain(m)],
        options={"message_timeout": "0.2s", "max_message_timeout": "10s"},
    ),
    "more-time-unasked": Scenario(
        lambda m: [MORE_TIME, 0.5, *plain(m)], options={"message_timeout": "0.2s"}
    ),
    "override": Scenario(
        at("request_headers", Response(
            request_headers={}, mode_override={"request_body_mode": 2, "response_header_mode": 2}
        )),
        options=OVERRIDING,
    ),
    "override-unasked": Scenario(at("request_headers", Response(
        request_headers={}, mode_override={"request_body_mode": 2, "response_header_mode": 2}
    ))),
    "override-duplex": Scenario(
        at("request_headers", Response(
            request_headers={}, mode_override={"request_body_mode": 0}
        ), otherwise=echo),
        DUPLEX, trailers=True, options=OVERRIDING,
    ),
    "makes-trailers": Scenario(with_trailers, DUPLEX, DUPLEX, trailers=True),
    "response-late": Scenario(
        at("response_body", immediate(502, body=b"instead")), response="STREAMED"
    ),
    "attributes": Scenario(options={
        "request_attributes": ["request.headers", "source.port", "request.time", "xds.node.id",
                               "connection.mtls", "xds.route_metadata", "upstream.address"],
        "response_attributes": ["upstream.address", "upstream.cx_pool_ready_duration",
                                "xds.upstream_host_metadata"],
    }),
    "local": Scenario(options={"response_attributes": ["response.code_details"]}),
}  # fmt: skip


class Recorder:
    """The service: it keeps what comes, and answers by the scenario."""

    async def process(self, _requests: object, context: Any) -> None:
        """One stream."""
        scenario = SCENARIOS[dict(context.invocation_metadata())[SCENARIO]]
        scenario.sent = []
        while (data := await context.read()) is not grpc.aio.EOF:
            message = external_processor_pb2.ProcessingRequest.FromString(data)
            scenario.sent.append(message)
            for answer in scenario.answer(message):
                if answer is END:
                    return
                if answer is FAIL:
                    await context.abort(grpc.StatusCode.INTERNAL, "failed")
                if isinstance(answer, float):
                    await asyncio.sleep(answer)
                else:
                    await context.write(answer.SerializeToString())


@asynccontextmanager
async def recording() -> AsyncIterator[str]:
    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(Recorder().process)
    handler = grpc.method_handlers_generic_handler(ext_proc.SERVICE, {ext_proc.METHOD: method})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@dataclass
class World:
    """An Envoy and its upstream."""

    envoy: EnvoyProcess
    upstream: Upstream

    async def send(self, name: str, request: Message | None = None, target: str = "/x") -> Came:
        """What the client got."""
        self.upstream.came.clear()
        return await exchange(self.envoy.address(name), target, request)

    @property
    def reached(self) -> Came:
        """What came to the upstream."""
        (came,) = self.upstream.came.values()
        return came


def listener(name: str, scenario: Scenario) -> build.Config:
    ask = build.ext_proc_filter(
        "recorder",
        timeout_s=20.0,
        request_body=scenario.request,
        response_body=scenario.response,
        trailers=scenario.trailers,
        initial_metadata={SCENARIO: name},
        options=dict(scenario.options),
    )
    made = build.listener(name, "upstream", [ask])
    manager = made["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_protocol_options"] = {"enable_trailers": True}
    manager["normalize_path"] = True
    manager["path_with_escaped_slashes_action"] = "REJECT_REQUEST"
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(envoy: Path) -> AsyncIterator[World]:
    answers = {"/trailers": Message((b"one", b"two"), (("x-t", "1"),))}
    async with upstream(answers) as served, recording() as address:
        clusters = [
            cluster_of("upstream", served.address),
            build.cluster("recorder", address, http2=True),
        ]
        listeners = [listener(*item) for item in SCENARIOS.items()]
        bootstrap = build.bootstrap(listeners, clusters)
        async with EnvoyProcess(bootstrap, start_timeout_s=START_TIMEOUT_S) as running:
            yield World(running, served)


TRAILED = Message((b"one", b"two"), (("x-t", "1"),))
HEADERS = ["request_headers", "response_headers"]


async def test_without_bodies(world: World) -> None:
    """Headers and trailers come, each once; only the first message tells the modes."""
    assert (await world.send("none", TRAILED, "/trailers")).body == b"onetwo"
    assert SCENARIOS["none"].kinds == [
        "request_headers", "request_trailers", "response_headers", "response_trailers",
    ]  # fmt: skip
    told = [one.HasField("protocol_config") for one in SCENARIOS["none"].sent]
    assert told == [True, False, False, False]
    assert [h.raw_value for h in SCENARIOS["none"].sent[0].request_headers.headers.headers][:2]
    assert not any(h.value for h in SCENARIOS["none"].sent[0].request_headers.headers.headers)


async def test_buffered(world: World) -> None:
    """A body comes once and whole; its end comes with it unless trailers follow."""
    await world.send("buffered", TRAILED, "/trailers")
    bodies = [one for one in SCENARIOS["buffered"].sent if "body" in _kind(one)]
    assert [_kind(one) for one in bodies] == ["request_body", "response_body"]
    await world.send("buffered", POST)
    bodies = [one for one in SCENARIOS["buffered"].sent if "body" in _kind(one)]
    assert [_kind(one) for one in bodies] == ["request_body!", "response_body!"]
    assert bodies[0].request_body.body == b"onetwo"


async def test_streamed(world: World) -> None:
    """The headers go on first, and Envoy takes the content-length out of them."""
    await world.send("streamed", Message((b"one",), headers=(("content-type", "text/plain"),)))
    kinds = SCENARIOS["streamed"].kinds
    assert kinds[0] == "request_headers"
    assert {"request_body", "request_body!"} & set(kinds)
    assert world.reached.values("content-length") == []
    assert world.reached.body == b"one"


async def test_full_duplex(world: World) -> None:
    """The end of a body comes as a piece of its own, unless trailers are the end."""
    assert (await world.send("duplex", POST)).body == b"hello"
    kinds = SCENARIOS["duplex"].kinds
    assert kinds[-1] == "response_body!"
    assert "request_body!" in kinds
    assert SCENARIOS["duplex"].sent[kinds.index("request_body!")].request_body.body == b""
    await world.send("duplex", TRAILED, "/trailers")
    assert not {"request_body!", "response_body!"} & set(SCENARIOS["duplex"].kinds)


async def test_observing(world: World) -> None:
    """Nothing waits for an answer, and no modes are told."""
    assert (await world.send("observing", POST)).start == 200
    async with asyncio.timeout(30):
        while SCENARIOS["observing"].kinds[-1:] != ["response_body!"]:  # noqa: ASYNC110 - Envoy
            await asyncio.sleep(0.01)
    assert all(one.observability_mode for one in SCENARIOS["observing"].sent)
    assert not SCENARIOS["observing"].sent[0].HasField("protocol_config")


async def test_several_values(world: World) -> None:
    """Only the deprecated ``append`` adds a value: the action of that meaning is the default."""
    await world.send("appends")
    assert world.reached.values("x-action") == ["2"]
    assert world.reached.values("x-append") == ["1", "2"]
    assert world.reached.values("x-bytes") == ["\xff"]
    assert world.reached.values("x-empty") == [""]


async def test_the_length_of_a_body(world: World) -> None:
    """In BUFFERED a wrong one is refused; what the answer says counts."""
    sized = Sized((b"old",))
    assert (await world.send("wrong-length", sized)).start == 503
    assert (await world.send("right-length", sized)).start == 200
    assert (world.reached.values("content-length"), world.reached.body) == (["6"], b"longer")


class Sized(Message):
    """A body that is sent with its length."""

    @property
    def fields(self) -> Any:
        """See `Message.fields`."""
        return (*self.headers, ("content-length", str(sum(map(len, self.body)))))


async def test_headers_from_the_body_phase(world: World) -> None:
    """They count in BUFFERED."""
    await world.send("buffered-late", POST)
    assert world.reached.values("x-late") == ["1"]


@pytest.mark.parametrize("name", ["status-0", "status-199"])
async def test_a_status_that_is_none(world: World, name: str) -> None:
    """It becomes 200, so that a denial would be a success."""
    assert (await world.send(name)).start == 200
    assert not world.upstream.came


async def test_ending_a_stream(world: World) -> None:
    """Without an error the request goes on alone, even where nothing was answered."""
    assert (await world.send("ends", POST)).start == 200
    assert world.reached.body == b"onetwo"
    assert (await world.send("ends-silently", POST)).start == 200
    assert (await world.send("fails", POST)).start == 503
    assert (await world.send("fails-open", POST)).start == 200


async def test_ending_a_stream_in_full_duplex(world: World) -> None:
    """Envoy loses what it has of a body, so that this must never be done."""
    assert (await world.send("ends-duplex", POST)).start == 200
    assert world.reached.body != b"onetwo"


async def test_an_answer_of_the_wrong_kind(world: World) -> None:
    """With ``failure_mode_allow`` the request passes: never answer so."""
    assert (await world.send("other-kind-open")).start == 200


async def test_more_time(world: World) -> None:
    """It is granted up to ``max_message_timeout``, and ignored without that."""
    assert (await world.send("more-time")).start == 200
    assert (await world.send("more-time-unasked")).start == 504


async def test_mode_override(world: World) -> None:
    """A filter that allows it follows, and any other goes on as it was."""
    await world.send("override", POST)
    assert SCENARIOS["override"].kinds == ["request_headers", "request_body!"]
    await world.send("override-unasked", POST)
    assert SCENARIOS["override-unasked"].kinds == HEADERS
    assert (await world.send("override-duplex", POST)).start == 200
    assert "request_body!" in SCENARIOS["override-duplex"].kinds


async def test_trailers_that_nobody_sent(world: World) -> None:
    """They are dropped: an answer cannot add trailers to a message that came without."""
    came = await world.send("makes-trailers", POST)
    assert (came.start, came.body, came.trailers) == (200, b"hello", ())
    assert (world.reached.body, world.reached.trailers) == (b"onetwo", ())


async def test_an_answer_after_the_headers(world: World) -> None:
    """The response is broken off, or is an error where Envoy had not written its headers yet."""
    came = await world.send("response-late")
    assert came.start in ("reset", 502, 503)
    assert came.body == b""


async def test_attributes(world: World) -> None:
    """Numbers are doubles, times text, maps a word; what is not there is left out."""
    await world.send("attributes", POST)
    first, second = SCENARIOS["attributes"].sent
    (told,) = first.attributes.values()
    assert told["source.port"] > 0
    assert told["request.headers"] == "CelMap value"
    assert told["request.time"].endswith("+00:00")
    assert told["connection.mtls"] is False
    assert "upstream.address" not in told
    (told,) = second.attributes.values()
    assert told["upstream.address"] == world.upstream.address
    assert told["upstream.cx_pool_ready_duration"].endswith("s")
    assert told["xds.upstream_host_metadata"] == "NULL"


async def test_answers_of_envoy_itself(world: World) -> None:
    """Those from before the filter come as a response without a request."""
    assert (await world.send("local", None, "/a%2Fb")).start == 400
    assert SCENARIOS["local"].kinds == ["response_headers!"]
    (told,) = SCENARIOS["local"].sent[0].attributes.values()
    assert told["response.code_details"] == "path_normalization_failed"
