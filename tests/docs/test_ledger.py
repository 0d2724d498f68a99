"""The page about the ledger says what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from mixer.config import loads
from mixer.state.ledger.entries import MAX_ENTRY_BYTES
from tests.support.ledger_example import write_example

_PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
_EXAMPLES = re.findall(r"```text\n\$ mixer (.*?)\n(.*?)```", _PAGE, flags=re.DOTALL)


def test_the_commands(tmp_path: Path) -> None:
    """Each prints what the page shows."""
    write_example(tmp_path / "usage.db")
    assert len(_EXAMPLES) == 5
    for command, expected in _EXAMPLES:
        done = subprocess.run(
            [sys.executable, "-m", "mixer", *command.split()],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (expected, "")


def test_the_configurations() -> None:
    """They are valid."""
    first, second = re.findall(r"```yaml\n(.*?)```", _PAGE, flags=re.DOTALL)
    assert loads(first).mixer.ledger is not None
    ledger = loads(second, environ={"LEDGER_PASSWORD": "x"}).mixer.ledger
    assert ledger is not None
    assert ledger.commit_interval == 0.002
    assert yaml.safe_load(second)["spec"]["ledger"]["postgresql"]["dsn"] not in repr(ledger)


def test_the_bounds() -> None:
    """Those of the code."""
    assert f"over {MAX_ENTRY_BYTES >> 10} KiB" in _PAGE
