"""The same module asked over ext_authz and inside Envoy: the same outcome."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixer.demo.comparison import Observation, differences
from tests.e2e.stack import (
    MODULES,
    Services,
    Stack,
    adapter,
    asks,
    decided,
    lines,
    running,
    runs,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

PLAIN = {
    "add": {"x-added": "by the module"},
    "deny_path": "/deny",
    "trap_path": "/trap",
}
PROPERTIES = (
    *("request.path", "request.url_path", "request.query", "request.host", "request.scheme"),
    *("request.method", "request.protocol", "request.referer", "request.useragent"),
    *("request.headers.x-one", "request.headers.x-two", "request.headers.absent"),
    *("source.address", "destination.address", "upstream.address", "response.code_details"),
    *("connection.tls_version", "connection.requested_server_name", "nothing", "node.id"),
)
ECHOES = [{"echo_property": name.split(".")} for name in PROPERTIES]
BODY = {"deny_body": "forbidden"}
HOLDS = {"allow_on_headers_stop_iteration": True}
MAX_BODY = 64 * 1024


@pytest.fixture(scope="module", params=["rust_sdk", "go_abi"])
def module(request: pytest.FixtureRequest) -> Path:
    """A conformance module; both do the same."""
    path: Path = MODULES / f"{request.param}.wasm"
    if not path.is_file() and os.environ.get("CI") != "true":
        pytest.skip(f"{path.name} is not built: see tests/modules/README.md")
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services, module: Path) -> AsyncIterator[Stack]:
    holds = {"allow-on-headers-stop-iteration": "true"}
    chains = {
        "plain": [adapter("conformance", module, PLAIN)],
        "properties": [
            adapter(f"echo-{number:02}", module, echo) for number, echo in enumerate(ECHOES)
        ],
        "body": [adapter("conformance", module, BODY, annotations=holds)],
    }
    listeners = [
        asks("plain"),
        asks("body", with_request_body=MAX_BODY),
        asks("properties"),
        runs("plain-in-proxy", module, PLAIN),
        runs("properties-in-proxy", module, *ECHOES),
        runs("body-in-proxy", module, BODY, **HOLDS),
    ]
    async with running(services, chains, listeners) as started:
        yield started


async def both(
    stack: Stack, target: str, *headers: tuple[str, str]
) -> tuple[Observation, Observation]:
    asked = await stack.get("plain", target, *headers)
    return asked, await stack.get("plain-in-proxy", target, *headers)


def without_details(found: list[str]) -> list[str]:
    """Envoy has no details of its own for a response of a module that gives none."""
    return [one for one in found if not one.startswith("reason: ''")]


async def test_refusal(stack: Stack) -> None:
    """The module's answer reaches the client with its status, headers and body."""
    asked, in_proxy = await both(stack, "/deny")
    assert (asked.status, asked.body) == (403, "blocked by module")
    assert "x-module" in dict(asked.headers)
    assert without_details(differences(asked, in_proxy)) == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((), id="added"),
        pytest.param((("x-added", "by the client"),), id="added to one"),
        pytest.param((("x-remove", "1"), ("x-remove", "2")), id="removed"),
        pytest.param((("x-replace", "1"),), id="replaced"),
        pytest.param((("x-replace", "1"), ("x-replace", "2")), id="replaced twice"),
        pytest.param((("x-other", "1"), ("x-other", "2"), ("cookie", "a=1")), id="not touched"),
    ],
)
async def test_header_changes(stack: Stack, headers: tuple[tuple[str, str], ...]) -> None:
    """What the module adds, replaces and removes is so for the upstream, and nothing else is."""
    asked, in_proxy = await both(stack, "/path?query", *headers)
    assert asked.status == 200
    found = differences(asked, in_proxy)
    if ("x-added", "by the client") in headers:
        # A CheckResponse overwrites: two lines arrive as one, which means the same.
        assert lines(asked, "x-added") == ["by the client,by the module"]
        assert lines(in_proxy, "x-added") == ["by the client", "by the module"]
        assert [one.partition(":")[0] for one in found] == ["upstream headers"]
    else:
        assert found == []


async def test_properties(stack: Stack) -> None:
    """Properties of the request and of its connection read the same."""
    headers = (("x-one", "1"), ("x-two", "1"), ("x-two", "2"))
    headers += (("user-agent", "test"), ("referer", "there"))
    asked, in_proxy = [
        ",".join(lines(await stack.get(listener, "/a%20b/./c?d=e", *headers), "x-property"))
        for listener in ("properties", "properties-in-proxy")
    ]
    assert re.sub(r":\d+", ":PORT", asked) == re.sub(r":\d+", ":PORT", in_proxy)
    known = (
        "/a%20b/./c?d=e,/a%20b/./c,d=e,demo.mixer.dev,http,GET,HTTP/1.1,there,test,1,1,2,absent,"
    )
    assert asked.startswith(known + "127.0.0.1:")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"all is well", 200), (b"something forbidden", 403), (b"x" * MAX_BODY, 200), (b"", 200)],
    ids=["accepted", "refused", "as long as possible", "none"],
)
async def test_body(stack: Stack, body: bytes, status: int) -> None:
    """A module that holds the request back for its body decides the same about it."""
    asked, in_proxy = [
        await stack.post(listener, "/", body) for listener in ("body", "body-in-proxy")
    ]
    assert asked.status == status
    assert without_details(differences(asked, in_proxy)) == []


async def test_trap(stack: Stack) -> None:
    """A trap refuses its request, and the next one is served by a new VM."""
    trapped = await stack.get("plain", "/trap")
    assert (trapped.status, trapped.upstream) == (503, None)
    assert decided(trapped)["verdict"] == "error"
    assert decided(trapped)["reason"].startswith("trap_")
    assert (await until_served(stack)).status == 200


async def until_served(stack: Stack) -> Observation:
    """A VM must not be started too often: asks until it has been."""
    async with asyncio.timeout(30):
        while (seen := await stack.get("plain")).status == 503:
            assert decided(seen)["reason"] == "adapter_failed"
    return seen


# The last test of this file: inside Envoy the trap ends the VM that all listeners share.
async def test_trap_in_proxy(stack: Stack) -> None:
    """Inside Envoy a trap refuses its request with the same status, and then all others."""
    trapped = await stack.get("plain-in-proxy", "/trap")
    assert (trapped.status, trapped.upstream) == (503, None)
    assert (await stack.get("plain-in-proxy")).status == 503
    assert (await until_served(stack)).status == 200
