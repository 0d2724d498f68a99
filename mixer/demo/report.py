"""Shows the rows, to people as a table and to programs as JSON."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mixer.demo.comparison import Observation, Row, header_changes

_LONGEST_VALUE = 36

_TITLE = "The same requests, the same module: asked over ext_authz, and run inside Envoy"
_NARROW_TITLE = "The same requests, the same module: asked over ext_authz, and in Envoy"

# No report is as wide: what a table measures against this is what it needs.
_UNLIMITED_WIDTH = 10_000


def document(rows: Sequence[Row], envoy_version: str, repeats: int) -> dict[str, Any]:
    """The machine-readable report.

    Args:
        rows: What was measured.
        envoy_version: The version of the Envoy that ran.
        repeats: How many exchanges each median is of.
    """
    return {
        "versions": {
            "envoy": envoy_version,
            "wasmtime": _version("wasmtime"),
            "mixer": _version("wasm-mixer"),
            "python": platform.python_version(),
        },
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "architecture": platform.machine(),
            "cpus": os.cpu_count(),
        },
        "repeats": repeats,
        "requests": [row.as_json() for row in rows],
        "ok": all(row.ok for row in rows),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def report(rows: Sequence[Row], repeats: int) -> Group:
    """The table, what is wrong in it, and a line that says how it went.

    Where the console is too narrow for the table, a narrow one takes its place, of 80 columns.
    """
    times = f"Times are medians of {repeats} exchanges through Envoy, in milliseconds."
    table = _WideOrNarrow(_wide_table(rows, times), _narrow_table(rows, times))
    return Group(table, *_problems(rows), _conclusion(rows))


class _WideOrNarrow:
    """Shows the first table where it fits, else the second one."""

    def __init__(self, wide: Table, narrow: Table) -> None:
        self._wide = wide
        self._narrow = narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update(max_width=_UNLIMITED_WIDTH)
        needed = Measurement.get(console, unlimited, self._wide).maximum
        yield self._wide if needed <= options.max_width else self._narrow


def _wide_table(rows: Sequence[Row], times: str) -> Table:
    table = Table(
        title=_TITLE,
        caption=times,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Request")
    for heading in ("Verdict", "Status", "Decided by"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Upstream saw", overflow="fold")
    for heading in ("Asked", "In proxy", "Same?"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        sent, verdict, status, *measured = _cells(row)
        table.add_row(
            sent, verdict, status, Text(_decided_by(row.asked)), _upstream_saw(row), *measured
        )
    return table


def _narrow_table(rows: Sequence[Row], times: str) -> Table:
    """A few lines for each request: the second one and the next say what came of it."""
    table = Table(
        title=_NARROW_TITLE,
        caption=f"+ and -: what the upstream saw that was not sent, and what it did not.\n{times}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("Request", overflow="fold")
    for heading in ("Verdict", "Status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Asked", "In proxy", "Same?"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        sent, *others = _cells(row)
        denied = row.asked.upstream is None
        outcome = Text(_decided_by(row.asked), "dim") if denied else _upstream_saw(row)
        table.add_row(Group(sent, Padding(outcome, (0, 0, 0, 2))), *others)
    return table


def _cells(row: Row) -> tuple[Text, ...]:
    """What both tables show of a request: sent, verdict, status, the two times, the same."""
    seen = row.asked
    return (
        Text(row.scenario.sent),
        Text(seen.verdict, style="green" if seen.verdict == "allow" else "red"),
        Text(str(seen.status)),
        Text(f"{seen.median_ms:.2f}"),
        Text(f"{row.in_proxy.median_ms:.2f}"),
        Text("yes", style="green") if row.ok else Text("NO", style="bold red"),
    )


def _decided_by(seen: Observation) -> str:
    if seen.decision is None:
        return seen.details
    words = (seen.decision.get("adapter"), seen.decision.get("reason"))
    return ": ".join(str(word) for word in words if word)


def _upstream_saw(row: Row) -> Text:
    if row.asked.upstream is None or row.plain.upstream is None:
        return Text("nothing", style="dim")
    added, gone = header_changes(row.plain.upstream, row.asked.upstream)
    lines = [Text(f"+ {_shortened(line)}", style="green") for line in added]
    lines += [Text(f"- {name}", style="red") for name in gone]
    return Text("\n").join(lines) if lines else Text("as sent", style="dim")


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_VALUE else line[: _LONGEST_VALUE - 1] + "…"


def _problems(rows: Sequence[Row]) -> list[Text]:
    return [
        Text(f"{row.scenario.sent}: {problem}", style="red")
        for row in rows
        for problem in (*row.surprises, *row.differences)
    ]


def _conclusion(rows: Sequence[Row]) -> Text:
    bad = sum(not row.ok for row in rows)
    if bad:
        return Text(f"{bad} of {len(rows)} requests did not go as they must.", style="bold red")
    allowed = sum(row.asked.verdict == "allow" for row in rows)
    return Text(
        f"All {len(rows)} requests ({allowed} allowed, {len(rows) - allowed} denied) went as they "
        "must, and the service answered each one exactly as the module does inside Envoy.",
        style="bold green",
    )
