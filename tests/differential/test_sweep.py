"""Every host call, with good and bad arguments, in every phase: in Envoy as here."""

import asyncio
from pathlib import Path

import pytest

from mixer.proxywasm import UNSUPPORTED, AbiVersion, host_functions
from mixer.proxywasm.hostcalls.versions import versions_with
from mixer.proxywasm.pairs import deserialize, serialize
from tests.differential import sweep_table as table
from tests.differential.sweep import PHASES, Entry, Outcome, Swept
from tests.differential.sweeping import Sweep, here, in_envoy

ENVOYS = ("0_1_0", "0_2_0", "0_2_1")
"""The versions that Envoy knows: 0.2.100 is Higress's."""

_CALLOUT_HEADERS = 6
HTTP_PHASES = set(PHASES[: PHASES.index("delete") + 1])


def swept(abi: str) -> Sweep:
    """All rows of a version, in the order of the table."""
    version = next(v for v in AbiVersion if str(v) == abi.replace("_", "."))
    rows = (*table.SINCE_0_2_1, *table.OF_0_1, *table.WASI, *table.ROWS)
    there = [row for row in rows if version in versions_with(row.call)]
    return Sweep(tuple(entry for row in there for entry in row.entries()), abi)


def comparable(entry: Entry, outcome: Outcome | None) -> Outcome | None:
    """Without how long the answer of a callout took: Envoy tells that as a header of it."""
    of_callout = entry.call == "proxy_get_header_map_pairs" and entry.args[0] == _CALLOUT_HEADERS
    if outcome is None or not of_callout:
        return outcome
    pairs = deserialize(outcome.data) if outcome.data else []
    timeless = [(n, v) for n, v in pairs if n != b"x-envoy-upstream-service-time"]
    return Outcome(outcome.status, outcome.words[:1], serialize(timeless))


def differences(one: Sweep, envoy: Swept, host: Swept) -> list[str]:
    return [
        f"{phase}: {entry}: {envoy[phase].get(n)} in Envoy, {host[phase].get(n)} here"
        for phase in sorted(HTTP_PHASES)
        for n, entry in enumerate(one.entries)
        if comparable(entry, envoy[phase].get(n)) != comparable(entry, host[phase].get(n))
    ]


@pytest.mark.usefixtures("envoy")
@pytest.mark.parametrize("abi", ENVOYS)
def test_equal_to_envoy(abi: str, tmp_path: Path) -> None:
    """Each status, each word and each byte that a call of the table gives, is that of Envoy."""
    one = swept(abi)
    host = here(one)
    envoy = asyncio.run(in_envoy(one, tmp_path))
    for phase in HTTP_PHASES:
        assert len(envoy[phase]) == len(host[phase]) == len(one.entries), phase
    found = differences(one, envoy, host)
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:40])


ELSEWHERE = {
    # They end the stream or go on with it: tests/differential/test_responses.py and test_tcp.py.
    "proxy_send_local_response", "proxy_continue_stream", "proxy_close_stream",
    "proxy_continue_request", "proxy_continue_response",
    # Envoy does not have these, or of another type.
    "path_link", "path_symlink", "proc_raise", "proxy_redis_init",
    "proxy_redis_call", "proxy_get_upstream_hosts",
    # tests/differential/test_dns.py.
    "envoy_resolve_dns",
    # They do nothing.
    "pthread_equal", "emscripten_notify_memory_growth",
}  # fmt: skip


def test_every_call_is_in_the_table() -> None:
    """No host function is left out of the sweep but those that are named here."""
    calls = {entry.call for abi in ENVOYS for entry in swept(abi).entries}
    there = {function.name for function in host_functions()} - UNSUPPORTED
    assert there - ELSEWHERE == calls
    assert calls.isdisjoint(ELSEWHERE)
