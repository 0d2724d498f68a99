"""Rules of a service, behind the real Envoy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixer.demo.comparison import Observation
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, Stack, adapter, asks, decided, lines, operation, rule, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services, guests: Guests) -> AsyncIterator[Stack]:
    marks = adapter("marks", guests.adds((b"x-user", b"ann")))
    chains = {
        "request": [
            marks,
            rule(
                "one",
                'request.path.startsWith("/api")',
                request=[
                    operation("REPLACE", "x-who", 'request.headers["x-user"] + "@" + request.host'),
                    operation("REMOVE", "x-debug"),
                    operation("APPEND", "x-tag", '"b"', '"c"'),
                    operation("REPLACE", "x-none", 'request.headers["x-absent"]'),
                ],
            ),
            rule("two", request=[operation("REPLACE", "x-two", "string(request.headers.size())")]),
        ],
        "pseudo": [
            rule(
                "one",
                request=[
                    operation("REPLACE", ":path", '"/new" + request.path'),
                    operation("REPLACE", ":method", '"PUT"'),
                    operation("REPLACE", "Host", '"elsewhere"'),
                    operation("REPLACE", ":scheme", '"https"'),
                ],
            )
        ],
        "response": [
            rule(
                "one",
                response=[
                    operation("APPEND", "x-a", '"1"'),
                    operation("REPLACE", "x-a", '"2"'),
                    operation("APPEND", "x-a", '"3"'),
                    operation("REPLACE", "content-type", '"text/x-" + request.method'),
                    operation("APPEND", "set-cookie", '"a=1"', '"b=2"'),
                ],
            )
        ],
        "appended": [rule("one", response=[operation("APPEND", "content-type", '"text/more"')])],
        "removed": [
            rule("one", '"x-go" in request.headers', response=[operation("REMOVE", "server")])
        ],
        "denied": [
            adapter("denies", guests.denies(b"no", b"no", 403)),
            rule("one", response=[operation("REPLACE", "x-a", '"1"')]),
        ],
        "chosen": [
            adapter("denies", guests.denies(b"no", b"no", 403)),
            rule(
                "open",
                'request.path.startsWith("/open")',
                adapters=[{"name": "denies", "disabled": True}],
            ),
        ],
    }
    async with running(services, chains, [asks(name) for name in chains]) as started:
        yield started


def values(seen: Observation, name: str) -> list[str]:
    """The values of a header of the response, in order."""
    return [value for header, value in seen.headers if header == name]


async def test_operations_on_the_request_reach_the_upstream(stack: Stack) -> None:
    """REPLACE, REMOVE and APPEND, with values computed from headers and attributes."""
    seen = await stack.get("request", "/api/x", ("x-debug", "1"), ("x-tag", "a"), ("x-who", "eve"))
    assert seen.status == 200
    [who] = lines(seen, "x-who")
    assert who.startswith("ann@")
    assert lines(seen, "x-debug") == []
    assert ",".join(lines(seen, "x-tag")) == "a,b,c"
    assert lines(seen, "x-none") == []
    assert int(lines(seen, "x-two")[0]) > 3


async def test_an_adapter_that_a_rule_switches_off(stack: Stack) -> None:
    """It does not run for the requests of that rule, and for all others."""
    assert (await stack.get("chosen", "/open/x")).status == 200
    assert (await stack.get("chosen", "/")).status == 403


async def test_a_rule_that_does_not_match_changes_nothing(stack: Stack) -> None:
    """The other one is applied all the same."""
    seen = await stack.get("request", "/", ("x-debug", "1"), ("x-tag", "a"))
    assert (lines(seen, "x-debug"), lines(seen, "x-tag")) == (["1"], ["a"])
    assert (lines(seen, "x-who"), len(lines(seen, "x-two"))) == ([], 1)


async def test_pseudo_headers_can_be_replaced(stack: Stack) -> None:
    """The upstream gets another path, method and host."""
    seen = await stack.get("pseudo", "/x")
    assert seen.upstream is not None
    assert (seen.upstream.method, seen.upstream.path) == ("PUT", "/new/x")
    assert lines(seen, "host") == ["elsewhere"]


async def test_operations_on_the_response_reach_the_downstream(stack: Stack) -> None:
    """In effect as they are written, though Envoy makes additions before replacements."""
    seen = await stack.get("response")
    assert values(seen, "x-a") == ["2,3"]
    assert values(seen, "content-type") == ["text/x-GET"]
    assert values(seen, "set-cookie") == ["a=1", "b=2"]


async def test_a_value_joins_those_of_the_upstream(stack: Stack) -> None:
    """APPEND alone leaves what is there; Envoy writes this header on one line."""
    seen = await stack.get("appended")
    assert values(seen, "content-type") == ["application/json,text/more"]


async def test_a_removal_from_the_response_is_refused(stack: Stack) -> None:
    """ext_authz cannot say it: only requests that the rule is for are refused, with the reason."""
    assert (await stack.get("removed")).status == 200
    seen = await stack.get("removed", "/", ("x-go", "1"))
    assert seen.status == 503
    reason = decided(seen)["reason"]
    assert reason == "removing_a_response_header_is_not_possible_with_ext_authz"


async def test_no_rule_is_applied_to_a_denial(stack: Stack) -> None:
    """A refusal has only its own headers."""
    seen = await stack.get("denied")
    assert (seen.status, values(seen, "x-a")) == (403, [])
