"""Output that the README shows is that of a page which tests execute."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text()
_MORE = "…\n"


def _after(command: str, text: str) -> str:
    """What a command prints, up to the next one or the end of the block."""
    rest = text.partition(f"$ {command}\n")[2]
    return re.split(r"^\$ |^```", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("mixer explain /orders -H 'x-api-key: demo-key' -a 127.0.0.1:9901", "decision-log.md"),
        ("mixer usage sums --sqlite usage.db --from 2026-11-04", "ledger.md"),
        ("mixer usage verify --sqlite usage.db", "ledger.md"),
    ],
)
def test_what_is_shown(command: str, page: str) -> None:
    """It is what the page has, or the beginning of it."""
    shown = _after(command, _README)
    told = _after(command, (_ROOT / "docs" / page).read_text())
    assert shown
    assert told.startswith(shown.removesuffix(_MORE))
    assert shown == told or shown.endswith(_MORE)
