"""The page about services in Python tells the truth."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from mixer.config import load
from mixer.engine import Engine
from mixer.study.client import HttpConnection, Request
from tests.middleware.placements import PLACEMENTS, serving
from tests.middleware.served import served

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "middleware.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _PAGE, flags=re.DOTALL)
_DECIDERS = dict(zip(PLACEMENTS, _BLOCKS[:2], strict=True))
_APPLICATION, _SERVICE = _BLOCKS[2:]
_KEY = ("x-api-key", "demo-key")

_NOT_NEEDED = {
    "mixer.engine", "mixer.config", "mixer.proxywasm", "mixer.vm", "mixer.embedded", "mixer.state",
    "envoy", "opentelemetry", "pydantic", "starlette", "uvicorn", "wasmtime", "yaml",
}  # fmt: skip


@asynccontextmanager
async def example(placement: str, folder: Path, code: str) -> AsyncIterator[dict[str, Any]]:
    """Run an example of the page with one of its deciders, and the configuration that it names."""
    text = (_DOCS / "commands.md").read_text()
    (configuration, *_) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    file = folder / "mixer.yaml"
    file.write_text(configuration)
    shown = _DECIDERS[placement].replace('"mixer.yaml"', repr(str(file))) + code
    with Engine(load(file)) as engine:
        async with serving(engine) as address:
            names: dict[str, Any] = {"__name__": "example"}
            exec(shown.replace("127.0.0.1:9091", address), names)
            yield names


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_the_application(placement: str, tmp_path: Path) -> None:
    """It answers what is shown, and nobody without the key."""
    (shown,) = re.findall(r"\$ curl [^\n]*\n(.*?)```", _PAGE, flags=re.DOTALL)
    async with (
        example(placement, tmp_path, _APPLICATION) as names,
        served(names["app"]) as address,
        HttpConnection(address, 30.0) as connection,
    ):
        allowed = await connection.send(Request("GET", "/orders", (_KEY,)))
        refused = await connection.send(Request("GET", "/orders"))
    assert (allowed.status, allowed.body.decode()) == (200, shown)
    assert refused.status == 401


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_the_service(placement: str, tmp_path: Path) -> None:
    """Likewise."""

    async def who(request: bytes, context: Any) -> bytes:
        return dict(context.invocation_metadata())["x-consumer"].encode()

    methods = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    handlers = grpc.method_handlers_generic_handler("test.Orders", methods)
    target = f"unix:{tmp_path}/s.sock"
    async with example(placement, tmp_path, _SERVICE) as names:
        running = asyncio.ensure_future(names["serve"](handlers, target))
        async with grpc.aio.insecure_channel(target) as channel:
            call = channel.unary_unary("/test.Orders/Who")
            more = {"timeout": 60.0, "wait_for_ready": True}
            assert await call(b"", metadata=[_KEY], **more) == b"alice"
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", **more)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("module", ["mixer.middleware.asgi", "mixer.middleware.grpc_aio"])
def test_a_caller_is_light(module: str) -> None:
    """With a service that decides, no engine is imported."""
    code = f"import sys, {module}, mixer.middleware; print(*sys.modules, sep='\\n')"
    run = [sys.executable, "-c", code]
    loaded = set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())
    assert module in loaded
    assert not loaded & _NOT_NEEDED
