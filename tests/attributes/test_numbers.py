"""Numbers that are written as text."""

import pytest

from mixer.attributes import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), (b"200", 200), ("007", 7), (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None), (b"9" * 20, None), ("9" * 5000, None), (b"9" * 5000, None),
        (None, None), ("", None), (b"-1", None), ("+1", None), (" 1", None), ("1.0", None),
        ("\u0664", None), ("\u00b2", None), ("\udcff", None),
    ],
)  # fmt: skip
def test_whole_numbers(text: str | bytes | None, number: int | None) -> None:
    """Digits that fit into an attribute are a number, and nothing else is, whatever its length."""
    assert whole_number(text) == number
