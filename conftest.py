"""Runs the examples of the documentation: a console block must print what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

_ROOT = Path(__file__).parent
_ANYTHING = re.compile(r"\\?\.\\?\.\\?\.")


def _run(command: str) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        command, shell=True, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _pattern(expected: str) -> str:
    """What is shown, with ``...`` for anything."""
    return _ANYTHING.sub(".*?", re.escape(expected.strip()))


def _check_console(example: Example) -> None:
    for block in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, _, expected = block.partition("\n")
        printed = "\n".join(line.rstrip() for line in _run(command).strip().splitlines())
        if not re.fullmatch(_pattern(expected), printed, flags=re.DOTALL):
            raise AssertionError(
                f"$ {command}\nprinted:\n{printed}\n\nbut is shown with:\n{expected}"
            )


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="console", evaluator=_check_console)],
    patterns=["README.md", "adapters/*/README.md", "docs/*.md"],
).pytest()
