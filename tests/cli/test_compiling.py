"""What the commands say while a module is compiled."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixer.cli import app
from tests.support.adapters import adapter
from tests.support.compile import wasm

_LARGE = b"\0\x80\x80\x42\4note" + b"\0" * ((0x42 << 14) - 5)
"""A custom section of more than a mebibyte, which costs nothing to compile."""


@pytest.mark.parametrize("command", ["run", "run-tcp", "inspect"])
def test_a_large_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """It is announced on standard error when it is compiled, which happens once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = tmp_path / "large.wasm"
    module.write_bytes(wasm(adapter()) + _LARGE)
    announced = f"compiling {module} ({module.stat().st_size:,} bytes)\n"
    first = CliRunner().invoke(app, [command, str(module)])
    assert (first.exit_code, first.stderr) == (0, announced)
    again = CliRunner().invoke(app, [command, str(module)])
    assert (again.exit_code, again.stderr) == (0, "")


def test_a_small_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compiled in a moment, and nothing is said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = tmp_path / "small.wasm"
    module.write_bytes(wasm(adapter()))
    assert CliRunner().invoke(app, ["run", str(module)]).stderr == ""
