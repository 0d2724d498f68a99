"""Numbers that are written as text, most often in headers."""

_MOST_DIGITS = 19
_LARGEST = (1 << 63) - 1


def whole_number(text: str | bytes | None) -> int | None:
    """The number that decimal digits write.

    Args:
        text: From outside, and so of any length: Python refuses to read a number of 4301 digits.

    Returns:
        None for what is no such number, and for what an attribute of 64 bits cannot hold.
    """
    if not text or len(text) > _MOST_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= _LARGEST else None
