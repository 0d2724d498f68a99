"""Embedding the client is light, and its page is true."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from mixer.client import ClientMetrics, ClientSettings
from tests.client.answers import answer, granted
from tests.client.scripted import ScriptedServer

_PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()

_NOT_NEEDED = {
    "mixer.api", "mixer.cel", "mixer.config", "mixer.engine", "mixer.proxywasm", "mixer.telemetry",
    "mixer.vm", "envoy", "opentelemetry", "pydantic", "rich", "typer", "wasmtime", "yaml",
}  # fmt: skip


def test_importing_the_client_imports_no_engine() -> None:
    """Only gRPC and protobuf."""
    code = "import sys, mixer.client; print(*sys.modules, sep='\\n')"
    run = [sys.executable, "-c", code]
    loaded = set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())
    assert "mixer.client.checks" in loaded
    assert not loaded & _NOT_NEEDED


def test_the_examples_run() -> None:
    """Each block of the page, with a server where it looks for one."""
    blocks = re.findall(r"```python\n(.*?)```", _PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    quotas = {"requests": granted(1)}
    with ScriptedServer(lambda _: answer(quotas=quotas)) as server:
        for block in blocks:
            exec(block.replace("127.0.0.1:9091", server.address), {"__name__": "example"})
    assert len(server.checks) == 2
    assert sorted(record["request.path"] for record in server.records()) == ["/orders/7"] * 2


def test_the_settings_of_the_page_are_the_defaults() -> None:
    """And all of them are there."""
    example = re.findall(r"```python\n(.*?)```", _PAGE, flags=re.DOTALL)[-1]
    names = {}
    exec(example.replace("\nClientSettings(", "\nshown = ClientSettings("), names)
    assert names["shown"] == ClientSettings(address="127.0.0.1:9091")
    for group in ("check_cache", "quota_cache", "report", "retry"):
        for field in fields(getattr(names["shown"], group)):
            assert f"{field.name}=" in example


def test_every_metric_is_on_the_page() -> None:
    """By its name."""
    for field in fields(ClientMetrics):
        assert f"`{field.name}`" in _PAGE
