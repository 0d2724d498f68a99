"""Why an expression cannot be carried over."""


class CexlError(ValueError):
    """An expression is wrong, or nothing in CEL does what it does; the message says which."""


def at(position: int, message: str) -> CexlError:
    """An error with the place in the expression; positions count from 0."""
    return CexlError(f"character {position + 1}: {message}")
