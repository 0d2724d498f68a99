"""The examples of docs/testing.md and of the README are tests, and they pass."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.differential.scripted_exchange import TCP_CALLBACKS, module_text, set_body
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

_ROOT = Path(__file__).parents[2]
_EXAMPLES = {"docs/testing.md": 9, "README.md": 1}

PLUGIN = adapter(
    do.callout("auth"),
    do.answer(3),
    configure=[do.tick(60_000)],
    tick=[do.count("minutes", 1), do.set_shared("minutes", "some")],
    http_call_response=[do.in_stream(do.if_called("5", do.deny(403)), do.resume)],
)
"""Asks the cluster `auth`, refuses where that fails, and counts minutes."""


TCP = module_text({"downstream_data": [set_body(2, "> ", 0, 0)]}, callbacks=TCP_CALLBACKS)
"""Puts a mark in front of each piece that the client sends."""


@pytest.mark.parametrize("page", _EXAMPLES)
def test_the_examples_pass(tmp_path: Path, page: str) -> None:
    """As a user would: the page's code in a file, pytest, and nothing else set up."""
    blocks = re.findall(r"```python\n(.*?)```", (_ROOT / page).read_text(), flags=re.DOTALL)
    (tmp_path / "test_plugin.py").write_text("\n\n".join(blocks))
    (tmp_path / "plugin.wasm").write_bytes(wasm(PLUGIN))
    (tmp_path / "tcp.wasm").write_bytes(wasm(TCP))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"{_EXAMPLES[page]} passed" in result.stdout, result.stdout + result.stderr
