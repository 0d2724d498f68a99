"""What the parser and the checker say of an expression, as one line."""

import re

_LONGEST_MESSAGE = 200
_FOUND = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


def message(told: str) -> str:
    """The first of their errors with its place, bounded, and without the text that they repeat."""
    found = _FOUND.search(told)
    if found is None:
        return _short(told)
    line, column, what = found.groups()
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"{place}: {_short(what)}"


def _short(text: str) -> str:
    shown = repr(text)[1:-1] if not text.isprintable() else text
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]}..."
