"""``mixer inspect``: what a module is, and whether this host can run it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from mixer.runner.inspection import Inspection

_UNUSABLE = 1


def inspect(
    module: Annotated[str, typer.Argument(help="A .wasm file, or `builtin://NAME`.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a module's ABI version, digest, callbacks and imports, and what is supported.

    Exit status: 0 if this host can run it, 1 if not, 2 if it is no WebAssembly module.

    Examples: `mixer inspect builtin://auth`; `mixer inspect --json plugin.wasm | jq .problems`
    """
    from mixer.cli.compiling import announced, user_cache
    from mixer.cli.module_file import read
    from mixer.runner.inspection import inspect_module
    from mixer.vm import ModuleError

    try:
        code = read(module)
    except ModuleError as error:
        fail(f"mixer inspect: {error}", USAGE)
    try:
        inspection = inspect_module(code, user_cache(), compiling=announced(module))
    except ModuleError as error:
        fail(f"mixer inspect: {module}: {error}", USAGE)
    if json_output:
        print(json.dumps(inspection.as_json(), indent=2))
    else:
        _print(inspection)
    raise typer.Exit(_UNUSABLE if inspection.problems else 0)


def _print(inspection: "Inspection") -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for label, value in inspection.summary():
        console.print(f"{label:10} {value}", soft_wrap=True)
    for title, rows in inspection.tables():
        console.print(f"\n{title}", style="bold")
        for state, name in rows:
            console.print(f"  {state:14} {name}", style=_style(state), soft_wrap=True)
    for problem in inspection.problems:
        console.print(f"problem: {problem}", style="red", soft_wrap=True)
    if not inspection.problems:
        console.print(f"\n{_verdict(inspection)}", style="bold green", soft_wrap=True)


def _verdict(inspection: "Inspection") -> str:
    later = sum(state == "not yet" for state, _ in inspection.imports)
    if not later:
        return "ok: this host can run it"
    return f"ok: this host can run it; {later} of its imports answer UNIMPLEMENTED if called"


def _style(state: str) -> Any:
    return {"missing": "red", "not yet": "yellow"}.get(state, "")
