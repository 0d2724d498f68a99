"""The plugins that change bodies and responses, asked by the real Envoy over ext_proc."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mixer.study import bootstrap as build
from tests.e2e.stack import Services, adapter, in_chain
from tests.higress import catalogue
from tests.higress.cases import Case, Fields, Seen, Upstream
from tests.higress.envoy import sending
from tests.higress.host import Host, module_file

PLUGINS = ("ai-data-masking", "ai-statistics", "transformer")
CASES = {
    name: case
    for name, case in catalogue.CASES.items()
    if case.plugin in PLUGINS and not case.differs and not case.answer
}

Through = Callable[[str], dict[str, list[Seen]]]


@pytest.fixture(scope="module")
def through_ext_proc(envoy: Path, higress: Path, compiled: Path) -> Through:
    """The cases of a plugin through the service, each as an adapter of its own."""

    @cache
    def run(plugin: str) -> dict[str, list[Seen]]:
        cases = {name: case for name, case in CASES.items() if case.plugin == plugin}
        with tempfile.TemporaryDirectory(prefix="mixer-e2e-") as folder:
            services = Services(Path(folder), compiled)
            return asyncio.run(_run(cases, module_file(higress, plugin), services))

    return run


async def _run(cases: dict[str, Case], module: Path, services: Services) -> dict[str, list[Seen]]:
    ask = build.ext_proc_filter("mixer", attributes=["destination.port"])
    mixer = build.cluster("mixer", services.address("mixer"), http2=True)
    async with sending(cases, dict.fromkeys(cases, ask), [mixer]) as (running, send):
        adapters = []
        for number, (name, case) in enumerate(cases.items()):
            port = int(running.address(name).rpartition(":")[2])
            one = adapter(f"case-{number}", module, json.loads(case.text or "{}"))
            adapters.append(in_chain(one, f"chain-{number}", [port]))
        async with services.service("mixer", adapters):
            return {name: await send(name) for name in cases}


@pytest.mark.parametrize("name", CASES)
def test_same(name: str, through_ext_proc: Through, host: Host) -> None:
    """The client and the upstream see the same as from the plugin alone."""
    there = through_ext_proc(CASES[name].plugin)[name]
    here = host.run(CASES[name])
    assert list(map(_compared, there)) == list(map(_compared, here))


def _compared(one: Seen) -> Seen:
    """Without the length, which Envoy leaves out of what it streams, and without the log."""
    seen = one.comparable()
    seen.headers, seen.lines = _unmeasured(seen.headers), []
    if seen.upstream is not None:
        headers = _unmeasured(seen.upstream.headers)
        seen.upstream = Upstream(seen.upstream.path, headers, seen.upstream.body)
    return seen


def _unmeasured(headers: Fields) -> Fields:
    return tuple(pair for pair in headers if pair[0] != "content-length")
