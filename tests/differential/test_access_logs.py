"""One module as Envoy's Wasm access logger, and told of the same requests by access logs."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mixer.api.access_log import AccessLogs
from mixer.engine.reporting import stream_of
from mixer.proxywasm import AccessLogContext, PluginSettings, Services, StreamContext, WasmVm
from mixer.study import bootstrap as build
from mixer.vm import VmLimits
from tests.differential.access_logs import END, Exchange, Told, through_envoy
from tests.differential.scripted_exchange import module_text, pairs, raw, size, value
from tests.differential.test_properties import ENVOYS
from tests.support.adapters import Texts
from tests.support.compile import linker, plugin, wasm
from tests.support.self_signed import self_signed

_PERIODIC = {"access_log_options": {"access_log_flush_interval": "0.05s"}}
_TAGS = {
    "xds.virtual_host_name": "%CEL(xds.virtual_host_name)%",
    "xds.cluster_name": "%CEL(xds.cluster_name)%",
    "connection.id": "%CONNECTION_ID%",
    "connection.dns_san_peer_certificate": "%DOWNSTREAM_PEER_DNS_SAN%",
    "connection.sha256_peer_certificate_digest": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
}
EXCHANGES = {
    "plain": Exchange(
        b"GET /a?b=c HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\nreferer: r\r\nuser-agent: u\r\n"
        b"x-forwarded-for: 10.0.0.1\r\nx-request-id: i\r\nconnection: close\r\n\r\n"
    ),
    "body": Exchange(
        b"POST /b HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    ),
    "chunked": Exchange(
        b"POST /b HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"
        b"\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "odd_method": Exchange(b"PURGE / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    "no_http": Exchange(b"no HTTP at all\r\n\r\n"),
    "upstream_down": Exchange(upstream="down"),
    "unauthorized": Exchange(filters=[build.ext_authz_filter("down")]),
    "tagged": Exchange(filters=[build.ext_authz_filter("down")], tls=True, tags=_TAGS),
    "client_gone": Exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", upstream="silent", hangs_up=True),
    "tls": Exchange(tls=True),
    "tcp": Exchange(tcp=True),
    "tcp_down": Exchange(tcp=True, upstream="down"),
    "tcp_tls": Exchange(tcp=True, tls=True),
    "tcp_periodic": Exchange(
        b"x", tcp=True, upstream="silent", hangs_up=True, is_told_before=True, manager=_PERIODIC
    ),
}

# What an entry has no field for, and what no tag tells; docs/access-logs.md has it too.
UNTOLD = {
    "connection.id": "a tag can tell it",
    "connection.dns_san_local_certificate": "Envoy sends URI SANs alone",
    "connection.dns_san_peer_certificate": "a tag can tell it",
    "connection.sha256_peer_certificate_digest": "a tag can tell it",
    "request.headers": "those that Envoy is configured to log",
    "response.headers": "as before",
    "upstream.cx_pool_ready_duration": "no field",
    "upstream.locality": "no field",
    "upstream.num_endpoints": "no field",
    "upstream_filter_state": "no field",
    "xds.cluster_metadata": "no field",
    "xds.cluster_name": "of a request that came to no upstream; a tag can tell it",
    "xds.filter_chain_name": "a tag can tell it, unless it is empty",
    "xds.listener_direction": "no field",
    "xds.listener_metadata": "no field",
    "xds.route_metadata": "no field",
    "xds.route_name": "absent where the route has no name, and not empty",
    "xds.upstream_host_locality_metadata": "no field",
    "xds.upstream_host_metadata": "no field",
    "xds.virtual_host_metadata": "no field",
    "xds.virtual_host_name": "a tag can tell it",
}
ENVOYS_OWN = [name for name in ENVOYS if not name.startswith("mixer.") and name != "xds.node"]
REQUEST_HEADERS = (
    ":path", ":method", ":authority", ":scheme", ":status", "x-a", "user-agent", "referer",
    "x-forwarded-for", "x-request-id", "content-length", "nonesuch",
)  # fmt: skip


def _end(texts: Texts) -> str:
    return f"(call $text {texts.place(END)}) (call $flush)"


SCRIPT = {
    "log": [
        *(raw(*name.split(".")) for name in ENVOYS_OWN),
        raw("xds", "node", "id"),
        raw("xds", "node", "cluster"),
        raw("metadata", "filter_metadata"),
        raw("filter_state", "x"),
        *(value(0, name) for name in REQUEST_HEADERS),
        *(value(2, name) for name in (":status", "x-r", "content-length", "nonesuch")),
        *(value(3, name) for name in ("grpc-status", "nonesuch")),
        *(value(kind, "x") for kind in (1, 5)),
        *(step(kind) for kind in (1, 3) for step in (pairs, size)),
        _end,
    ]
}
MODULE = module_text(SCRIPT)


def through_the_host(
    messages: Sequence[bytes],
    name: str,
    kind: type[StreamContext | AccessLogContext] = StreamContext,
) -> list[str]:
    """What the module logs here of what Envoy's gRPC logger sent."""
    lines = list[str]()
    services = Services(log=lambda _, line: lines.append(line))
    limits, logs = VmLimits(cpu=5.0), AccessLogs()
    with WasmVm(plugin(MODULE), linker(), limits, start_cpu=5.0, services=services) as vm:
        root = vm.start_plugin(PluginSettings(name))
        for data in messages:
            for record in filter(None, logs.read(data).records()):
                context = kind(root, stream_of(record))
                context.log_stream()
                context.delete()
    return [line for line in lines if line not in ("on_done", "on_delete")]


@pytest.fixture(scope="module")
def told(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """What Envoy told of each exchange, in both ways."""
    folder = tmp_path_factory.mktemp("access-logs")
    module = folder / "module.wasm"
    module.write_bytes(wasm(MODULE))
    return asyncio.run(through_envoy(EXCHANGES, module, self_signed(folder, "demo.mixer.dev")))


def _differences(told: Told, name: str) -> set[str]:
    here = through_the_host(told.messages, name)
    assert len(here) == len(told.lines)
    differing = [one for one, other in zip(told.lines, here, strict=True) if one != other]
    found = [re.match(r"property (\S+) ", line) for line in differing]
    assert all(found), differing
    return {match[1].replace("/", ".") for match in found if match is not None}


@pytest.mark.parametrize("name", EXCHANGES)
def test_equal_to_envoys_wasm_logger(name: str, told: Mapping[str, Told]) -> None:
    """It is called as often, and reads the same, but for what an entry has no field for."""
    assert _differences(told[name], name) <= UNTOLD.keys()


@pytest.mark.parametrize("name", EXCHANGES)
def test_in_the_root_context(name: str, told: Mapping[str, Told]) -> None:
    """Where the module is asked to log makes no difference to what it reads."""
    messages = told[name].messages
    in_root = through_the_host(messages, name, AccessLogContext)
    assert in_root == through_the_host(messages, name)


def test_what_differs_does(told: Mapping[str, Told]) -> None:
    """A difference that is gone is taken out of the table."""
    names = EXCHANGES.keys() - {"tagged"}
    assert set().union(*(_differences(told[name], name) for name in names)) == UNTOLD.keys()


def test_tags_tell_what_entries_lack(told: Mapping[str, Told]) -> None:
    """A custom tag under the name of an attribute is that attribute."""
    assert not _differences(told["tagged"], "tagged") & _TAGS.keys()


def test_an_entry_of_a_connection_that_goes_on(told: Mapping[str, Told]) -> None:
    """It is left out, as by Envoy's Wasm logger: another one follows at the end."""
    logs = AccessLogs()
    records = [r for data in told["tcp_periodic"].messages for r in logs.read(data).records()]
    assert None in records
    assert len([record for record in records if record is not None]) == 1
    assert told["tcp_periodic"].lines.count(END) == 1
