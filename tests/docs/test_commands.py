"""The examples of the pages are answered by the service that the commands page configures."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import typer.main
import yaml

from mixer.cli import app
from mixer.cli.mixer_v1.attribute_file import read_attributes
from mixer.study.service import ServiceProcess

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "commands.md").read_text()
_CLIENT_PAGE = (_DOCS / "client.md").read_text()
_CONFIGURATION, _ATTRIBUTES = re.findall(r"```yaml\n(.*?)```", _PAGE, flags=re.DOTALL)
_EXAMPLES = re.findall(r"```text\n\$ (.*?)\n(.*?)```", _PAGE, flags=re.DOTALL)
_ADDRESS = "127.0.0.1:9091"
_START_S = 120.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the page's service listens, but for its port."""
    folder = tmp_path_factory.mktemp("page")
    socket = f"unix:{folder}/m.sock"
    documents = list(yaml.safe_load_all(_CONFIGURATION.replace(_ADDRESS, socket)))
    documents[0]["spec"]["compileCache"] = {"directory": str(folder / "cache")}
    config = folder / "mixer.yaml"
    config.write_text(yaml.safe_dump_all(documents))
    async with ServiceProcess(config, socket, folder / "log", start_timeout_s=_START_S):
        yield socket


@pytest.mark.asyncio(loop_scope="module")
async def test_the_examples(address: str) -> None:
    """Each prints what the page shows, one after the other; ``...`` stands for anything."""
    assert _ADDRESS in _CONFIGURATION
    assert len(_EXAMPLES) >= 5
    for command, expected in _EXAMPLES:
        printed = _run(re.sub(r"^mixer (\w+)", rf"mixer \1 -m {address}", command))
        shown = re.escape(expected.strip()).replace(r"\.\.\.", ".*?")
        assert re.fullmatch(shown, printed, flags=re.DOTALL), f"$ {command}\n{printed}"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_examples_of_the_client(address: str) -> None:
    """The same service allows what the page of the client library asks, with its quota."""
    examples = re.findall(r"```python\n(.*?)```", _CLIENT_PAGE, flags=re.DOTALL)
    assert len(examples) == 3
    for code in examples:
        shown = code.replace(_ADDRESS, address).replace("timeout=0.2", "timeout=20")
        done = _python(shown)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _python(code: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=False)


def _run(command: str) -> str:
    program = command.replace("mixer", f"{sys.executable} -m mixer", 1)
    done = subprocess.run(program, shell=True, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def test_the_file_of_attributes(tmp_path: Path) -> None:
    """The other YAML of the page can be used as it is."""
    file = tmp_path / "attributes.yaml"
    file.write_text(_ATTRIBUTES)
    assert read_attributes(file)["request.headers"] == {
        "x-api-key": "demo-key", "accept": "text/html, */*",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["check", "quota", "report"])
def test_every_flag_is_documented(name: str) -> None:
    """The table of the page has each flag of the commands, and the commands each of its flags."""
    rows = re.findall(r"^\| (`-.*?`) \|", _PAGE, flags=re.MULTILINE)
    documented = {flag for row in rows for flag in re.findall(r"`(-[-\w]+)`", row)}
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {one for parameter in command.params for one in parameter.opts}
    assert options <= documented
