"""A plugin that runs by itself, in Envoy (``envoy.bootstrap.wasm``, a singleton) and here."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mixer.engine import Engine
from mixer.proxywasm import ManualScheduler
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.engine.conftest import Plugins
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm
from tests.support.envoy import installed_envoy

WARN = 3
PATIENCE_S = 20.0
_SERVICE = "type.googleapis.com/envoy.extensions.wasm.v3.WasmService"
_LINE = re.compile(r"wasm log root[^:]*: (\w+)$", re.MULTILINE)


def module(*at_the_end: do.Step) -> str:
    """Ticks twice, reads what it shared, and ends as told."""
    return adapter(
        context_create=[do.log("create", WARN)],
        vm_start=[do.log("vm_start", WARN)],
        configure=[do.log("configure", WARN), do.tick(10), do.register_queue("q")],
        tick=[
            do.log("tick", WARN),
            do.if_remembered(do.tick(0), do.enqueue(1, "message")),
            do.remember,
        ],
        queue_ready=[do.dequeue(1), do.log("told", WARN)],
        done=[do.log("done", WARN), *at_the_end],
        delete=[do.log("delete", WARN)],
    )


def in_the_engine(plugins: Plugins, text: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What it logs until the engine is closed."""
    scheduler = ManualScheduler()
    document = plugins.plugin("a", text, {"service": "singleton", "root-id": "root"})
    with Engine(plugins.configuration(document), scheduler=scheduler) as engine:
        scheduler.advance(1.0)
        engine.shut_down(lambda: None)
    return [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.a"]


async def in_envoy(folder: Path, text: str, last: str) -> list[str]:
    """The same, until it logged the last of it after SIGTERM."""
    file = folder / "module.wasm"
    file.write_bytes(wasm(text))
    plugin = build.wasm_filter("service", file, "", root_id="root", vm_id="v")
    extension = {"@type": _SERVICE, "singleton": True, "config": plugin["typed_config"]["config"]}
    bootstrap = build.bootstrap([build.listener("none", None)], [])
    bootstrap["bootstrap_extensions"] = [
        {"name": "envoy.bootstrap.wasm", "typed_config": extension}
    ]
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        await _until(envoy, "told")
        os.kill(envoy.pid, signal.SIGTERM)
        return await _until(envoy, last)


async def _until(envoy: EnvoyProcess, last: str) -> list[str]:
    ends = time.monotonic() + PATIENCE_S
    while True:
        lines = _LINE.findall(envoy.log.read_text(errors="replace"))
        if lines[-1:] == [last] or time.monotonic() > ends:
            return lines
        await asyncio.sleep(0.02)


START: Sequence[str] = ("create", "vm_start", "configure")


async def test_from_start_to_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is started, ticks, is told of messages, is done and deleted, in the same order."""
    ours = in_the_engine(Plugins(tmp_path), module(), caplog)
    assert ours == [*START, "tick", "tick", "told", "done", "delete"]
    installed_envoy()
    theirs = await in_envoy(tmp_path, module(), "delete")
    # Envoy tries a module out before it runs it.
    assert theirs[-len(ours) :] == ours
    assert set(theirs[: -len(ours)]) <= {*START, "done", "delete"}
