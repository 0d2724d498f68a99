import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from mixer.study.process import ChildProcess, ProcessError

SLEEP = "import time; time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "


async def start(tmp_path: Path, code: str) -> ChildProcess:
    return await ChildProcess.start("the child", [sys.executable, "-c", code], tmp_path / "log")


async def never() -> bool:
    return False


def is_gone(pid: int) -> bool:
    """Whether no process has this id, not even one that nobody reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_stop_ends_with_sigterm_and_reaps(tmp_path: Path) -> None:
    """A program that heeds SIGTERM ends by it and leaves no zombie."""
    child = await start(tmp_path, SLEEP)
    assert await child.stop() == -signal.SIGTERM
    assert is_gone(child.pid)


async def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    """A program that ignores SIGTERM is killed after the grace."""
    child = await start(tmp_path, DEAF + SLEEP)

    async def deaf() -> bool:
        return "deaf" in child.log_text()

    await child.until(deaf, 20)
    assert await child.stop(grace_s=0.05) == -signal.SIGKILL
    assert is_gone(child.pid)


async def test_stop_after_the_end_is_no_error(tmp_path: Path) -> None:
    """Stopping twice, or a program that ended by itself, gives its status."""
    child = await start(tmp_path, "raise SystemExit(3)")
    assert await child.wait(20) == 3
    assert await child.stop() == 3


async def test_early_end_shows_the_log(tmp_path: Path) -> None:
    """A wait for a program that ends raises at once, with what it wrote last."""
    child = await start(tmp_path, "raise SystemExit('no such port')")
    with pytest.raises(ProcessError, match=r"(?s)the child ended with status 1 .*no such port"):
        await child.until(never, 20)


async def test_wait_is_bounded(tmp_path: Path) -> None:
    """A program that does not become ready in time is an error, and still runs until stopped."""
    child = await start(tmp_path, SLEEP)
    with pytest.raises(ProcessError, match="was not ready within"):
        await child.until(never, 0.05)
    await child.stop()


async def test_cancelled_stop_leaves_nothing(tmp_path: Path) -> None:
    """A second Ctrl-C during the grace kills the program at once."""
    child = await start(tmp_path, DEAF + SLEEP)

    async def deaf() -> bool:
        return "deaf" in child.log_text()

    await child.until(deaf, 20)
    stopping = asyncio.create_task(child.stop(grace_s=600))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert is_gone(child.pid)


async def test_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    """When the process that started a program is killed hard, the program ends too."""
    parent = await start(
        tmp_path,
        "import asyncio, pathlib, sys\n"
        "from mixer.study.process import ChildProcess\n"
        "async def main():\n"
        f"    argv = [sys.executable, '-c', {SLEEP!r}]\n"
        f"    log = pathlib.Path({str(tmp_path)!r}) / 'grandchild'\n"
        "    child = await ChildProcess.start('grandchild', argv, log)\n"
        "    print('pid', child.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n",
    )

    async def has_pid() -> bool:
        return "pid" in parent.log_text()

    await parent.until(has_pid, 20)
    grandchild = int(parent.log_text().split()[-1])
    pidfd = os.pidfd_open(grandchild)
    try:
        os.kill(parent.pid, signal.SIGKILL)
        await parent.wait(20)
        await ends(pidfd)
    finally:
        os.close(pidfd)


async def ends(pidfd: int) -> None:
    """Waits for the end of a process that is not our child."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        loop.remove_reader(pidfd)
