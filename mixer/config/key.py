"""What is said of a key of YAML that is no string."""

_SECRET_DIGITS = 4
"""So many digits in the configuration of a module may be a secret, such as a PIN."""
_SHOWN = 40
_COLLECTIONS = {list: "list", dict: "mapping"}


def no_string(key: object, written: str | None, *, secret: bool) -> str:
    """Say that a key must be one, which key it is, and what it is read as.

    Args:
        key: As it was read.
        written: The same in the file; None of an alias, a list or a mapping.
        secret: Whether it is in the configuration of a module.
    """
    return f"keys must be strings, and {_this(key, written, secret=secret)}"


def _this(key: object, written: str | None, *, secret: bool) -> str:
    if isinstance(key, list | dict):
        return f"this one is a {_COLLECTIONS[type(key)]}"
    if written is None:
        return f"this one is an alias of {_read_as(key)}: write it out, in quotes"
    if not written:
        return 'before this colon there is none: an empty one is written ""'
    if secret and _is_number(key) and len(written) >= _SECRET_DIGITS:
        return "this one is a number: put quotes around it"
    shown = written[:_SHOWN]
    return f'{shown} is read as {_read_as(key)}: put quotes around it, "{shown}"'


def _is_number(key: object) -> bool:
    return isinstance(key, int | float) and not isinstance(key, bool)


def _read_as(key: object) -> str:
    if _is_number(key):
        return "a number"
    return "null" if key is None else str(key).lower()
