"""Two plugins in one VM: Envoy's Wasm filter and this engine log the same, and share the same."""

import re
from pathlib import Path

import pytest

from mixer.engine import Decision, Engine
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from tests.engine.conftest import Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm
from tests.support.envoy import installed_envoy

WARN = 3
START = ("create", "vm_start", "configure")
MODULE = adapter(
    do.if_remembered(do.log("remembers", WARN)),
    do.when("x-remember", do.remember),
    do.when("x-trap", do.trap),
    context_create=[do.log("create", WARN)],
    vm_start=[do.log("vm_start", WARN)],
    configure=[do.log("configure", WARN)],
    done=[do.log("done", WARN)],
    delete=[do.log("delete", WARN)],
)
WORKING = ((), ("x-remember",), ())
TRAPPING = (*WORKING, ("x-trap",), ())
_LINE = re.compile(r"root_(.)[^:]*: (\w+)$", re.MULTILINE)

Requests = tuple[tuple[str, ...], ...]


def in_the_engine(
    plugins: Plugins, caplog: pytest.LogCaptureFixture, vm_ids: tuple[str, str], asked: Requests
) -> list[tuple[int, list[str]]]:
    """The status of each request, and who logged what; first of all the start."""
    documents = [
        plugins.plugin(name, MODULE, {"vm-id": vm_id, "reload-backoff": "1h"},
                       failStrategy="FAIL_RELOAD", url="./a.wasm")
        for name, vm_id in zip("ab", vm_ids, strict=True)
    ]  # fmt: skip

    def lines() -> list[str]:
        said = [(r.name.removeprefix("mixer.adapter."), r.getMessage()) for r in caplog.records]
        return [f"{name} {text}" for name, text in said if name in ("a", "b")]

    with Engine(plugins.configuration(*documents)) as engine:
        seen = [(0, lines())]
        for names in asked:
            before = len(lines())
            decision = engine.decide(request(*((name, "1") for name in names)))
            assert isinstance(decision, Decision)
            status = decision.response.status if decision.response else 200
            seen.append((status, lines()[before:]))
    return seen


async def in_envoy(
    folder: Path, vm_ids: tuple[str, str], asked: Requests
) -> list[tuple[int, list[str]]]:
    """The same; of its several starts the last one."""
    module = folder / "module.wasm"
    module.write_bytes(wasm(MODULE))
    filters = [
        build.wasm_filter(f"plugin-{name}", module, "", root_id=f"root_{name}", vm_id=vm_id)
        for name, vm_id in zip("ab", vm_ids, strict=True)
    ]
    bootstrap = build.bootstrap([build.listener("wasm", None, filters)], [])
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:

        def lines() -> list[str]:
            log = envoy.log.read_text(errors="replace")
            return [f"{name} {text}" for name, text in _LINE.findall(log)]

        seen = [(0, lines()[-2 * len(START) :])]
        for names in asked:
            before = len(lines())
            headers = (("connection", "close"), *((name, "1") for name in names))
            async with HttpConnection(envoy.address("wasm")) as connection:
                status = (await connection.send(Request("GET", "/", headers))).status
            seen.append((status, lines()[before:]))
        return seen


@pytest.mark.parametrize(
    ("vm_ids", "asked", "remembered"),
    [(("v", "v"), TRAPPING, ["b", "a", "b", "a"]), (("v", "w"), WORKING, ["a", "b"])],
    ids=["one VM", "two VMs"],
)
async def test_both_log_the_same(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    vm_ids: tuple[str, str],
    asked: Requests,
    remembered: list[str],
) -> None:
    """Order of callbacks, common memory, and a trap that ends the VM for both."""
    ours = in_the_engine(Plugins(tmp_path), caplog, vm_ids, asked)
    lines = [line for _, said in ours for line in said]
    assert [line[0] for line in lines if "remembers" in line] == remembered
    assert [status for status, _ in ours[4:]] == [503] * (len(asked) - 3)
    installed_envoy()
    assert await in_envoy(tmp_path, vm_ids, asked) == ours
