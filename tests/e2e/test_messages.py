"""What modules see of headers and bodies, and what Envoy does with their changes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.guests import Guests, listed
from tests.e2e.stack import Services, Stack, adapter, asks, decided, lines, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

MAX_BODY = 1024
ANONYMOUS = {
    "api_keys": {"keys": [{"sha256": "0" * 64, "consumer": "nobody"}]},
    "rules": [{"anonymous": "allow"}],
}
NEW_LINES = b"harmless\r\nx-injected: 1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services, guests: Guests) -> AsyncIterator[Stack]:
    holds = {"allow-on-headers-stop-iteration": "true"}
    adds = guests.adds(
        (b"x-many", b"one"), (b"x-many", b"two"), (b"cookie", b"c=3"), (b"cookie", b"d=4")
    )
    chains = {
        "lists": [adapter("lists", guests.lists())],
        "reads": [adapter("reads", guests.reads(b"x-in"))],
        "body": [adapter("body", guests.reads_body(), annotations=holds)],
        "changes-body": [adapter("changes-body", guests.changes_body())],
        "adds": [adapter("adds", adds)],
        "latin": [adapter("latin", guests.adds((b"x-latin", b"caf\xe9")))],
        "injects": [adapter("injects", guests.adds((b"x-bad", NEW_LINES)))],
        "denies": [adapter("denies", guests.denies(b"denies", b"why", 403, (b"x-bad", NEW_LINES)))],
        "identity": [adapter("identity", "builtin://auth", ANONYMOUS)],
        "repeats": [
            adapter(
                "repeats",
                guests.denies(b"repeats", b"", 401, (b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")),
            )
        ],
    }
    partial: dict[str, Any] = {"with_request_body": MAX_BODY, "allow_partial_message": True}
    listeners = [
        *(asks(name) for name in chains if "body" not in name),
        asks("lists-joined", "lists", encode_raw_headers=False),
        asks("lists-partial", "lists", **partial),
        asks("lists-partial-joined", "lists", encode_raw_headers=False, **partial),
        asks("reads-joined", "reads", encode_raw_headers=False),
        asks("body", with_request_body=MAX_BODY),
        asks("body-partial", "body", **partial),
        asks("body-not-sent", "body"),
        asks("identity-withheld", "identity", allowed_headers=["x-api-key"]),
        asks("changes-body", with_request_body=MAX_BODY),
    ]
    async with running(services, chains, listeners) as started:
        yield started


async def headers_seen(stack: Stack, listener: str, *sent: tuple[str, str]) -> list[list[str]]:
    seen = await stack.get(listener, "/p?q", *sent)
    assert seen.status == 403
    return [list(pair) for pair in listed(seen.body)]


@pytest.mark.parametrize("listener", ["lists", "lists-joined"])
async def test_module_sees_the_request_headers(stack: Stack, listener: str) -> None:
    """Pseudo-headers come first, names are in lower case, and empty values are kept."""
    pairs = await headers_seen(stack, listener, ("X-Upper", "Value"), ("x-empty", ""))
    names = [name for name, _ in pairs]
    pseudo = {":authority": "demo.mixer.dev", ":path": "/p?q", ":method": "GET", ":scheme": "http"}
    assert dict(pairs[:4]) == pseudo
    assert ["x-upper", "Value"] in pairs
    assert ["x-empty", ""] in pairs
    assert len(set(names)) == len(names)
    assert "host" not in names


async def test_repeated_headers(stack: Stack) -> None:
    """With raw headers they arrive one by one and in order, without them joined."""
    sent = (("x-in", "1"), ("x-other", "-"), ("x-in", "2"))
    raw = await headers_seen(stack, "lists", *sent)
    assert [value for name, value in raw if name == "x-in"] == ["1", "2"]
    joined = await headers_seen(stack, "lists-joined", *sent)
    assert [value for name, value in joined if name == "x-in"] == ["1,2"]


async def test_value_that_is_not_utf8(stack: Stack) -> None:
    """With raw headers its bytes arrive; without them Envoy puts a "!" for each byte."""
    sent = ("x-in", "caf\xe9")
    # A CheckResponse holds text: U+FFFD stands for the byte that the module saw and returned.
    assert (await stack.get("reads", "/", sent)).body == "caf�"
    assert (await stack.get("reads-joined", "/", sent)).body == "caf!"


async def test_complete_body(stack: Stack) -> None:
    """A body up to the limit arrives whole."""
    for size in (1, MAX_BODY):
        seen = await stack.post("body", "/", b"b" * size)
        assert (seen.status, seen.body) == (403, "b" * size)


async def test_too_long_body_is_refused_by_envoy(stack: Stack) -> None:
    """A body over the limit gets 413, and the service is not asked."""
    seen = await stack.post("body", "/", b"b" * (MAX_BODY + 1))
    assert (seen.status, seen.decision) == (413, None)


async def test_partial_body_is_not_the_end(stack: Stack) -> None:
    """A cut body comes without end_of_stream, so that a module that wants it whole can tell."""
    assert (await stack.post("body-partial", "/", b"b" * MAX_BODY)).status == 403
    seen = await stack.post("body-partial", "/", b"b" * (MAX_BODY + 1))
    assert (seen.status, seen.body) == (429, "b" * MAX_BODY)


async def test_body_that_envoy_does_not_send_is_an_error(stack: Stack) -> None:
    """A module that waits for a body which never comes refuses the request at once."""
    seen = await stack.post("body-not-sent", "/", b"body")
    assert (seen.status, decided(seen)["verdict"]) == (503, "error")
    assert decided(seen)["reason"] == "waits_for_a_body_that_the_proxy_did_not_send"


@pytest.mark.parametrize("listener", ["lists-partial", "lists-partial-joined"])
@pytest.mark.parametrize("size", [10, MAX_BODY + 1])
async def test_helper_header_of_envoy_is_hidden(stack: Stack, listener: str, size: int) -> None:
    """x-envoy-auth-partial-body, which the request does not have, is seen by no module."""
    seen = await stack.post(listener, "/", b"b" * size)
    assert seen.status == 403
    assert "x-envoy-auth-partial-body" not in dict(listed(seen.body))


async def test_header_of_that_name_from_the_client_is_hidden(stack: Stack) -> None:
    """A client cannot make its body look cut by sending the header itself."""
    seen = await stack.post("body", "/", b"whole", ("x-envoy-auth-partial-body", "true"))
    assert (seen.status, seen.body) == (403, "whole")


async def test_values_of_one_name_arrive_joined(stack: Stack) -> None:
    """Several values that modules set arrive as one line: with a comma, cookies with "; "."""
    seen = await stack.get("adds", "/", ("x-many", "zero"), ("cookie", "a=1"), ("cookie", "b=2"))
    assert lines(seen, "x-many") == ["zero,one,two"]
    assert lines(seen, "cookie") == ["a=1; b=2; c=3; d=4"]


@pytest.mark.parametrize("listener", ["denies", "injects"])
async def test_line_ends_in_headers_are_never_written(stack: Stack, listener: str) -> None:
    """A header with CR or LF, for either side, makes the decision 503, and nothing is injected."""
    seen = await stack.get(listener)
    assert (seen.status, seen.upstream) == (503, None)
    assert not {"x-injected", "x-bad"} & {name for name, _ in seen.headers}
    assert decided(seen)["verdict"] == "error"
    assert decided(seen)["reason"] == "an_adapter_set_a_header_with_forbidden_characters"


async def test_value_that_cannot_be_said_is_an_error(stack: Stack) -> None:
    """A value that is not UTF-8 has no place in a CheckResponse: 503, not another value."""
    seen = await stack.get("latin")
    assert (seen.status, seen.upstream) == (503, None)
    assert decided(seen)["reason"] == "a_header_that_is_not_UTF-8_is_not_possible_with_ext_authz"


async def test_changed_body_is_an_error(stack: Stack) -> None:
    """ext_authz cannot change bodies: 503, rather than the old body at the upstream."""
    seen = await stack.post("changes-body", "/", b"old body")
    assert (seen.status, seen.upstream) == (503, None)
    assert decided(seen)["reason"] == "request_body_change_is_not_possible_with_ext_authz"


async def test_repeated_response_headers(stack: Stack) -> None:
    """A refusal keeps every value of a name, in order."""
    seen = await stack.get("repeats")
    assert seen.status == 401
    own = [(name, value) for name, value in seen.headers if name in {"x-a", "x-b"}]
    assert own == [("x-a", "1"), ("x-a", "3"), ("x-b", "2")]


@pytest.mark.parametrize("listener", ["identity", "identity-withheld"])
async def test_forged_identity_does_not_reach_the_upstream(stack: Stack, listener: str) -> None:
    """A client's own x-consumer is removed, also where Envoy does not show it to the service."""
    seen = await stack.get(listener, "/", ("x-consumer", "admin"), ("x-other", "1"))
    assert seen.status == 200
    assert lines(seen, "x-consumer") == []
    assert lines(seen, "x-other") == ["1"]
