"""Durations, as the adapters take them."""

_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "us"))
SECOND = 10**9
LONGEST_VALIDITY = 24 * 3600 * SECOND


def written(nanoseconds: int) -> str:
    """``5s``, ``1500ms`` and so on; whole microseconds."""
    for unit, name in _UNITS:
        if nanoseconds % unit == 0:
            return f"{nanoseconds // unit}{name}"
    return f"{nanoseconds // 1000}us"
