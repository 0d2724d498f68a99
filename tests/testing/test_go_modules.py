"""`mixer.testing` runs what the Go SDK makes."""

from pathlib import Path

import pytest

from mixer.testing import Host, Outcome, TrapError
from tests.higress.host import module_file
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

_MODULES = Path(__file__).parents[1] / "modules"


def test_a_module_of_the_go_sdk(proxy_wasm: Host) -> None:
    """It starts, which takes a monotonic clock that does not read 0."""
    plugin = proxy_wasm.load(_MODULES / "go_abi.wasm", {"add": {"x-added": "1"}})
    assert plugin.request().request.headers["x-added"] == "1"
    assert plugin.vm.services.monotonic_clock() == 1_000_000_000


def test_properties_of_a_request(proxy_wasm: Host) -> None:
    """What the test gives is what the module reads."""
    settings = {"echo_property": ["source", "address"]}
    plugin = proxy_wasm.load(_MODULES / "go_abi.wasm", settings)
    stream = plugin.request({":path": "/"}, properties={"source.address": "10.0.0.1:5000"})
    assert stream.request.headers["x-property"] == "10.0.0.1:5000"


def test_a_plugin_of_higress(proxy_wasm: Host) -> None:
    """One that is made with Go decides about a request."""
    package = pytest.importorskip("gpustack_higress_plugins")
    file = module_file(Path(package.__file__).parent / "plugins", "transformer")
    rules = [{"operate": "add", "headers": [{"key": "x-team", "value": "blue"}]}]
    plugin = proxy_wasm.load(file, {"reqRules": rules})
    stream = plugin.request({":path": "/orders"})
    assert stream.outcome is Outcome.CONTINUE
    assert stream.request.headers["x-team"] == "blue"


def test_a_trap_during_the_start(proxy_wasm: Host) -> None:
    """It tells what the module logged before it, as a refusal does."""
    code = wasm(adapter(configure=[do.log("no such database", 4), do.trap]))
    with pytest.raises(TrapError, match=r"unreachable(.|\n)*it logged: no such database"):
        proxy_wasm.load(code)
