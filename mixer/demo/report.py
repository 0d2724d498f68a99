"""Shows the rows, to people as a table and to programs as JSON."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mixer.demo.comparison import Observation, Row, header_changes

_LONGEST_VALUE = 36


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
    """The table, what is wrong in it, and a line that says how it went."""
    table = Table(
        title="The same requests, the same module: asked over ext_authz, and run inside Envoy",
        caption=f"Times are medians of {repeats} exchanges through Envoy, in milliseconds.",
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
        table.add_row(*_cells(row))
    return Group(table, *_problems(rows), _conclusion(rows))


def _cells(row: Row) -> tuple[Text, ...]:
    seen = row.asked
    return (
        Text(row.scenario.sent),
        Text(seen.verdict, style="green" if seen.verdict == "allow" else "red"),
        Text(str(seen.status)),
        Text(_decided_by(seen)),
        _upstream_saw(row),
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
