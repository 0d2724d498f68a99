"""A service of gRPC behind the interceptor, whichever placement decides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from mixer.client import NetworkFailPolicy
from mixer.middleware import Answer, Decider, ServiceDecider
from mixer.middleware.grpc_aio import MixerInterceptor
from mixer.middleware.grpc_aio.metadata import metadata_of, pairs_of
from mixer.middleware.grpc_aio.statuses import code_of
from tests.client.answers import answer
from tests.client.scripted import ScriptedServer
from tests.engine.conftest import MakeEngine, Plugins
from tests.engine.world import PAUSE, World
from tests.middleware.placements import PLACEMENTS, placed, settings
from tests.middleware.test_embedded import Having, until
from tests.support import adapters as do
from tests.support.adapters import adapter

NAMES = ("Unary", "Collect", "Repeat", "Chat")
TIMEOUT_S = 30.0


class Service:
    """Methods of each kind, over bytes; they note the metadata that they are given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.act: Callable[[Any], Any] | None = None

    async def _called(self, context: Any) -> None:
        self.seen.append({entry.key: entry.value for entry in context.invocation_metadata()})
        if self.act is not None:
            await self.act(context)

    async def unary(self, request: bytes, context: Any) -> bytes:
        await self._called(context)
        return request

    async def collect(self, requests: Any, context: Any) -> bytes:
        await self._called(context)
        return b"".join([request async for request in requests])

    async def repeat(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await self._called(context)
        for _ in range(3):
            yield request

    async def chat(self, requests: Any, context: Any) -> None:
        await self._called(context)
        async for request in requests:
            await context.write(request)

    def handler(self) -> Any:
        return grpc.method_handlers_generic_handler(
            "test.Echo",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
                "Repeat": grpc.unary_stream_rpc_method_handler(self.repeat),
                "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            },
        )


class Client:
    """Calls a method of any kind.

    A client of grpc.aio may take a call for an internal error that ends while it writes: `silent`
    ones send no message where they could send several.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.silent = False

    def begin(self, name: str, metadata: Any = (), timeout: float = TIMEOUT_S) -> Any:
        path, more = f"/test.Echo/{name}", {"metadata": metadata, "timeout": timeout}
        if name == "Unary":
            return self._channel.unary_unary(path)(b"a", **more)
        if name == "Collect":
            return self._channel.stream_unary(path)(self._messages(), **more)
        if name == "Repeat":
            return self._channel.unary_stream(path)(b"a", **more)
        return self._channel.stream_stream(path)(self._messages(), **more)

    def _messages(self) -> Any:
        return None if self.silent else iter([b"a", b"b"])

    async def call(self, name: str, metadata: Any = (), timeout: float = TIMEOUT_S) -> Any:  # noqa: ASYNC109
        """What came: the messages; initial and trailing metadata; code and details."""
        call = self.begin(name, metadata, timeout)
        messages: list[bytes] = []
        try:
            if name in ("Unary", "Collect"):
                messages.append(await call)
            else:
                while (message := await call.read()) is not grpc.aio.EOF:
                    messages.append(message)
        except grpc.aio.AioRpcError:
            pass
        return Called(
            messages,
            dict(await call.initial_metadata() or ()),
            dict(await call.trailing_metadata() or ()),
            await call.code(),
            await call.details(),
        )


class Called:
    """See `Client.call`."""

    def __init__(self, messages: Any, initial: Any, trailing: Any, code: Any, details: Any) -> None:
        self.messages, self.initial, self.trailing = messages, initial, trailing
        self.code, self.details = code, details


@asynccontextmanager
async def behind(decider: Decider, methods: Service, **more: Any) -> AsyncIterator[Client]:
    """A client of a service behind an interceptor."""
    async with AsyncExitStack() as stack:
        interceptor = await stack.enter_async_context(MixerInterceptor(decider, **more))
        server = grpc.aio.server(interceptors=[interceptor], options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((methods.handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, 0)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        yield Client(await stack.enter_async_context(channel))


CHANGES = adapter(
    do.replace("x-a", "new"),
    do.remove("x-b"),
    do.add("x-key-bin", "AAEC"),
    do.set_property("mixer.response_header.x-said", "1"),
    do.where_true(
        "request.path.startsWith('/test.Echo/') && request.method == 'POST'"
        " && destination.service == 'echo' && source.address.startsWith('127.0.0.1:')",
        do.add("x-right", "1"),
    ),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_call_that_is_allowed(placement: str, name: str, plugins: Plugins) -> None:
    """Its metadata reach the method changed, and the response's the client."""
    configuration = plugins.configuration(plugins.plugin("one", CHANGES))
    service = Service()
    metadata = (("x-a", "1"), ("x-b", "1"), ("x-c-bin", b"\xff\0"))
    async with (
        placed(placement, configuration) as decider,
        behind(decider, service, service="echo") as client,
    ):
        called = await client.call(name, metadata)
    assert called.code is grpc.StatusCode.OK, called.details
    assert b"".join(called.messages) in (b"a", b"ab", b"aaa")
    (seen,) = service.seen
    assert (seen["x-a"], seen["x-c-bin"], seen["x-key-bin"]) == ("new", b"\xff\0", b"\0\1\2")
    assert (seen["x-right"], "x-b" in seen) == ("1", False)
    assert "user-agent" in seen
    assert called.initial["x-said"] == "1"


REFUSALS = {
    "unauthenticated": (do.deny(401, "who are you"), grpc.StatusCode.UNAUTHENTICATED),
    "denied": (do.deny(403, "not you"), grpc.StatusCode.PERMISSION_DENIED),
    "too many": (do.deny(429, "later"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    "unavailable": (do.deny(503, "down"), grpc.StatusCode.UNAVAILABLE),
    "error": (do.deny(500, "oops"), grpc.StatusCode.UNAVAILABLE),
    "gateway": (do.deny(502, "oops"), grpc.StatusCode.UNAVAILABLE),
    "timeout": (do.deny(504, "slow"), grpc.StatusCode.DEADLINE_EXCEEDED),
    "an answer": (do.deny(200, "maintenance"), grpc.StatusCode.PERMISSION_DENIED),
    "trap": (do.trap, grpc.StatusCode.UNAVAILABLE),
    "another path": (do.replace(":path", "/test.Echo/Other"), grpc.StatusCode.UNAVAILABLE),
    "no metadata": (do.add("x-a", "caf\u00e9"), grpc.StatusCode.UNAVAILABLE),
    "no base64": (do.add("x-a-bin", "!"), grpc.StatusCode.UNAVAILABLE),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_both_placements_refuse_alike(name: str, plugins: Plugins) -> None:
    """With the status of gRPC that fits, its words and metadata; the method is not called."""
    step, code = REFUSALS[name]
    text = adapter(step, response_headers=[do.add_to_response("x-why", "because")])
    configuration = plugins.configuration(plugins.plugin("one", text))
    service, found = Service(), []
    for placement in PLACEMENTS:
        async with placed(placement, configuration) as decider, behind(decider, service) as client:
            client.silent = True
            for method in NAMES:
                called = await client.call(method)
                found.append((called.code, called.details, called.trailing))
    assert [one[0] for one in found] == [code] * 2 * len(NAMES)
    if name != "trap":  # some find the VM still down, and the words say so
        assert found[: len(NAMES)] == found[len(NAMES) :]
    assert service.seen == []
    if name == "denied":
        assert found[0][1:] == ("one:not you", {"x-why": "because"})


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_what_a_method_does_itself(placement: str, plugins: Plugins) -> None:
    """Its own metadata, codes and failures come through."""
    configuration = plugins.configuration(plugins.plugin("one", CHANGES))
    service = Service()

    async def tells(context: Any) -> None:
        await context.send_initial_metadata((("x-mine", "1"),))
        context.set_trailing_metadata((("x-last", "1"),))

    async def sets_code(context: Any) -> None:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("nothing")

    async def aborts(context: Any) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "again", (("x-last", "2"),))

    async def fails(context: Any) -> None:
        raise KeyError("a defect")

    async with placed(placement, configuration) as decider, behind(decider, service) as client:
        found = []
        for service.act in (tells, sets_code, aborts, fails):
            found.append(await client.call("Unary"))
    told, coded, aborted, failed = found
    assert (told.initial["x-mine"], told.initial["x-said"], told.trailing) == (
        "1", "1", {"x-last": "1"},
    )  # fmt: skip
    assert (coded.code, coded.details) == (grpc.StatusCode.NOT_FOUND, "nothing")
    assert (aborted.code, aborted.details) == (grpc.StatusCode.ABORTED, "again")
    assert (aborted.trailing, aborted.initial["x-said"]) == ({"x-last": "2"}, "1")
    assert failed.code is grpc.StatusCode.UNKNOWN


async def test_calls_are_reported() -> None:
    """With their status of gRPC, also those that were refused or failed."""
    service = Service()

    async def fails(context: Any) -> None:
        raise KeyError("a defect")

    with ScriptedServer(lambda _: answer(seconds=0)) as server:
        async with behind(ServiceDecider(settings(server.address)), service) as client:
            await client.call("Repeat")
            service.act = fails
            await client.call("Unary")
            server.check = lambda _: answer(code=16, message="who")
            client.silent = True
            await client.call("Chat")
        records = server.records()
    assert [(r["request.path"], r["response.grpc_status"]) for r in records] == [
        ("/test.Echo/Repeat", "0"), ("/test.Echo/Unary", "2"), ("/test.Echo/Chat", "16"),
    ]  # fmt: skip
    assert {r["context.protocol"] for r in records} == {"grpc"}
    assert all(r["response.duration"] > 0 for r in records)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (NetworkFailPolicy.FAIL_OPEN, grpc.StatusCode.OK),
        (NetworkFailPolicy.FAIL_CLOSE, grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_a_service_that_is_down(policy: NetworkFailPolicy, code: grpc.StatusCode) -> None:
    """The network fail policy decides."""
    with ScriptedServer() as server:
        address = server.address
    decider = ServiceDecider(settings(address, network_fail_policy=policy), reports=False)
    async with behind(decider, Service()) as client:
        assert (await client.call("Unary")).code is code


async def test_the_deadline_of_a_call_bounds_the_question(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What decides does not wait longer than the caller does."""
    world = World(make_engine, plugins.plugin("one", adapter(do.callout("auth"), PAUSE)))
    async with behind(Having(world.engine), Service()) as client:
        called = await client.call("Unary", timeout=0.2)
        assert called.code is grpc.StatusCode.DEADLINE_EXCEEDED or (
            called.code is grpc.StatusCode.UNAVAILABLE
        )
        await until(lambda: world.engine.verdicts.error == 1)


async def test_a_call_that_is_cancelled(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What waited for it is given up."""
    world = World(make_engine, plugins.plugin("one", adapter(do.callout("auth"), PAUSE)))
    service = Service()
    async with behind(Having(world.engine), service) as client:
        call = client.begin("Unary")
        waiting = asyncio.ensure_future(call)
        await until(lambda: world.callouts.http_calls)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: world.engine.verdicts.error == 1)
    assert service.seen == []


async def test_a_module_that_waits_for_messages(plugins: Plugins) -> None:
    """They are not shown to it: the call is refused."""
    text = adapter(do.answer(1), request_body=[do.answer(0)])
    document = plugins.plugin("one", text, {"allow-on-headers-stop-iteration": "true"})
    async with (
        placed("embedded", plugins.configuration(document)) as decider,
        behind(decider, Service()) as client,
    ):
        assert (await client.call("Unary")).code is grpc.StatusCode.UNAVAILABLE


async def test_responses_of_gRPC_pass_adapters(plugins: Plugins) -> None:  # noqa: N802
    """Headers and trailers; an answer in their place ends the call."""
    text = adapter(
        response_headers=[do.add_to_response("x-first", "1")],
        log=[do.where_true("response.grpc_status == 0", do.log("fine"))],
    )
    refusing = adapter(response_headers=[do.deny(503, "no")])
    for module, code in ((text, grpc.StatusCode.OK), (refusing, grpc.StatusCode.UNAVAILABLE)):
        configuration = plugins.configuration(plugins.plugin("one", module))
        async with (
            placed("embedded", configuration) as decider,
            behind(decider, Service()) as client,
        ):
            called = await client.call("Repeat")
            assert called.code is code
            assert called.messages == ([b"a"] * 3 if code is grpc.StatusCode.OK else [])
            assert ("x-first" in called.initial) is (code is grpc.StatusCode.OK)


async def test_methods_that_are_not_there(plugins: Plugins) -> None:
    """They are gRPC's to answer."""
    async with (
        placed("embedded", plugins.configuration()) as decider,
        behind(decider, Service()) as client,
    ):
        client.silent = True
        assert (await client.call("None")).code is grpc.StatusCode.UNIMPLEMENTED


def test_metadata_are_headers() -> None:
    """And back, without those that gRPC makes itself."""
    metadata = (("a", "1"), ("b-bin", b"\0\xff"), ("a", "2"))
    pairs = pairs_of(metadata)
    assert pairs == [(b"a", b"1"), (b"b-bin", b"AP8"), (b"a", b"2")]
    made = [(b":path", b"/"), (b"content-type", b"application/grpc"), (b"grpc-timeout", b"1S")]
    assert metadata_of([*made, *pairs]) == metadata


@pytest.mark.parametrize("code", range(-1, 20))
def test_no_answer_is_a_success(code: int) -> None:
    """Whatever it says."""
    for status in (200, 403, 503):
        assert code_of(Answer(status, code=code)) is not grpc.StatusCode.OK


async def test_a_method_that_is_a_plain_function(plugins: Plugins) -> None:
    """It would hold up all others: it is not called."""
    service = Service()
    called: list[bytes] = []
    service.unary = lambda request, context: called.append(request)  # type: ignore
    async with (
        placed("embedded", plugins.configuration()) as decider,
        behind(decider, service) as client,
    ):
        found = await client.call("Unary")
    assert (found.code, called) == (grpc.StatusCode.UNKNOWN, [])
