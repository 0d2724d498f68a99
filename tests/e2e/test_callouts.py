"""A service whose adapter waits for an HTTP callout to a configured cluster."""

from pathlib import Path

import pytest

from mixer.callouts.ports import HttpCall
from tests.e2e.calls import channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, adapter
from tests.e2e.test_bad_start import refusal
from tests.support.callout_module import module_text, read_log
from tests.support.callout_upstream import Http1, Upstream
from tests.support.compile import wasm

_HEADERS = ((b":method", b"GET"), (b":path", b"/p"), (b":authority", b"keys"))
_ANSWER = Http1((b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nhi",))


def _calls(guests: Guests, cluster: str) -> Path:
    call = HttpCall(cluster, _HEADERS, timeout=20.0)
    return guests.file("calls", wasm(module_text(call)))


@pytest.mark.parametrize("name", ["keys", "outbound|80||keys.static", "127.0.0.1:{}"])
async def test_a_request_waits_for_a_callout(services: Services, guests: Guests, name: str) -> None:
    """The decision is made once the answer is there, and the module has read it."""
    async with Upstream(_ANSWER) as upstream:
        module = _calls(guests, name.format(upstream.port))
        clusters = [{"name": "keys", "endpoints": [f"127.0.0.1:{upstream.port}"]}]
        service = services.service("callouts", [adapter("calls", module)], clusters=clusters)
        async with service, channel(service.address) as opened:
            for _ in range(3):
                assert (await check(opened, check_request())).status.code == 0
        log = (services.folder / "callouts.log").read_text()
        lines = [line.rpartition(": ")[2] for line in log.splitlines()]
        told = read_log(lines)
        assert (told.call, told.body) == (0, b"hi")
        assert (len(upstream.requests), upstream.connections) == (3, 1)


async def test_a_cluster_that_is_unknown_is_logged(services: Services, guests: Guests) -> None:
    """A module that names no cluster is told BAD_ARGUMENT, and the log what there is."""
    module = _calls(guests, "other")
    clusters = [{"name": "keys", "endpoints": ["127.0.0.1:1"]}]
    async with (
        services.service("unknown", [adapter("calls", module)], clusters=clusters) as (service),
        channel(service.address) as opened,
    ):
        assert (await check(opened, check_request())).status.code == 0
    log = (services.folder / "unknown.log").read_text()
    assert "no cluster 'other': there are keys" in log


async def test_tls_files_are_read_at_the_start(services: Services, guests: Guests) -> None:
    """A cluster whose file is missing keeps the service from starting, with the file's name."""
    clusters = [{"name": "keys", "endpoints": ["a:1"], "tls": {"caFile": "/nonexistent/ca.pem"}}]
    config = services.configure("tls", [], clusters=clusters)
    assert "cluster keys: tls: /nonexistent/ca.pem: " in await refusal(config)
