"""Several adapters in one service, behind the real Envoy."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.guests import Guests
from tests.e2e.stack import Services, Stack, adapter, asks, decided, lines, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

KEY = "letmein"
AUTH = {
    "api_keys": {
        "sources": [{"header": "x-key", "strip": True}],
        "keys": [{"sha256": hashlib.sha256(KEY.encode()).hexdigest(), "consumer": "robot"}],
    }
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services, guests: Guests) -> AsyncIterator[Stack]:
    def step(number: int) -> Path:
        return guests.adds((b"x-steps", b"%d" % number))

    broken = guests.file("broken", b"\0asm no module")
    refuses = guests.refuses(b"no")
    sets_key = guests.adds((b"x-key", KEY.encode()))
    marks = guests.adds((b"x-marked", b"1"))
    chains = {
        "order": [
            adapter("last", step(6)),
            adapter("stats", step(5), phase="STATS"),
            adapter("authz-b", step(4), phase="AUTHZ", priority=1),
            adapter("authz-a", step(3), phase="AUTHZ", priority=1),
            adapter("authn-low", step(2), phase="AUTHN", priority=-5),
            adapter("authn-high", step(1), phase="AUTHN", priority=7),
        ],
        "mutation": [
            adapter("auth", "builtin://auth", AUTH, phase="AUTHZ"),
            adapter("set-key", sets_key, phase="AUTHN"),
        ],
        "auth": [adapter("auth", "builtin://auth", AUTH)],
        "first-deny": [
            adapter("marks", marks, priority=3),
            adapter("first", guests.denies(b"first", b"first reason", 403), priority=2),
            adapter("second", guests.denies(b"second", b"second reason", 401), priority=1),
        ],
        "open": [
            adapter("broken", broken, failStrategy="FAIL_OPEN", priority=3),
            adapter("refuses", refuses, failStrategy="FAIL_OPEN", priority=2),
            adapter("marks", marks, priority=1),
        ],
        "open-alone": [adapter("broken", broken, failStrategy="FAIL_OPEN")],
        "response": [
            adapter("one", guests.sets_property(b"mixer.response_header.X-One", b"1"), priority=1),
            adapter("two", guests.sets_property(b"mixer\0response_header\0x-two", b"2")),
        ],
        "response-denied": [
            adapter("one", guests.sets_property(b"mixer.response_header.X-One", b"1"), priority=1),
            adapter("denies", guests.denies(b"denied", b"no", 403)),
        ],
        "response-bad": [
            adapter("bad", guests.sets_property(b"mixer.response_header.x-bad", b"a\r\nx-b: c"))
        ],
    }
    async with running(services, chains, [asks(name) for name in (*chains, "none")]) as started:
        yield started


async def test_order(stack: Stack) -> None:
    """Phases run in Istio's order, then by priority, then by name; each sees the one before it."""
    seen = await stack.get("order", "/", ("x-steps", "0"))
    assert lines(seen, "x-steps") == ["0,1,2,3,4,5,6"]
    names = ["authn-high", "authn-low", "authz-a", "authz-b", "stats", "last"]
    assert decided(seen)["adapters"] == names


async def test_change_of_one_adapter_is_seen_by_the_next(stack: Stack) -> None:
    """A credential that the first adapter sets is accepted, and stripped, by the second."""
    seen = await stack.get("mutation")
    assert seen.status == 200
    assert (lines(seen, "x-consumer"), lines(seen, "x-key")) == (["robot"], [])
    assert (await stack.get("auth")).status == 401


async def test_first_refusal_wins(stack: Stack) -> None:
    """The first adapter that denies answers; those after it do not run."""
    seen = await stack.get("first-deny")
    assert (seen.status, seen.body) == (403, "first")
    assert decided(seen) == {
        "verdict": "deny",
        "adapter": "first",
        "reason": "first_reason",
        "adapters": ["marks", "first"],
    }


async def test_metadata_of_an_allowed_request(stack: Stack) -> None:
    """Dynamic metadata says who let the request through."""
    assert decided(await stack.get("auth", "/", ("x-key", KEY))) == {
        "verdict": "allow",
        "adapter": "auth",
        "reason": "",
        "adapters": ["auth"],
    }


async def test_broken_adapter_that_fails_open_is_passed_over(stack: Stack) -> None:
    """With FAIL_OPEN what did not load is left out and told; the others decide."""
    seen = await stack.get("open")
    assert (seen.status, lines(seen, "x-marked")) == (200, ["1"])
    assert decided(seen)["failed_open"] == ["broken", "refuses"]
    assert decided(seen)["adapters"] == ["marks"]
    alone = await stack.get("open-alone")
    assert (alone.status, decided(alone)["failed_open"]) == (200, ["broken"])


async def test_no_adapters_allow(stack: Stack) -> None:
    """Where no adapter matches everything is allowed, and says that nobody decided."""
    seen = await stack.get("none")
    assert seen.status == 200
    assert decided(seen) == {"verdict": "allow", "adapter": "", "reason": "", "adapters": []}


async def test_response_headers_by_property(stack: Stack) -> None:
    """mixer.response_header.NAME, of any adapter, becomes a header of the upstream's response."""
    seen = await stack.get("response")
    assert seen.status == 200
    headers = dict(seen.headers)
    assert (headers["x-one"], headers["x-two"]) == ("1", "2")
    assert lines(seen, "x-one") == []


async def test_response_headers_of_a_refusal_are_its_own(stack: Stack) -> None:
    """The property is for the upstream's response: a refusal has only its own headers."""
    seen = await stack.get("response-denied")
    assert (seen.status, "x-one" in dict(seen.headers)) == (403, False)


async def test_bad_response_header_is_an_error(stack: Stack) -> None:
    """A line end in such a property makes the decision 503."""
    seen = await stack.get("response-bad")
    assert (seen.status, seen.upstream) == (503, None)
    assert not {"x-b", "x-bad"} & {name for name, _ in seen.headers}
