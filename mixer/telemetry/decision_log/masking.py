"""What is left of values that may be secrets."""

import re
from collections.abc import Iterable

from mixer.attributes import Duration, Timestamp
from mixer.telemetry.decision_log.subject import one_line

MASKED = "***"

LONGEST_VALUE = 256

_SECRET = re.compile(
    r"authori[sz]ation|cookie|token|secret|passw|credential|session|signature|private"
    r"|api[-_.]?key|(^|[-_.])(auth|key|pin|otp|jwt|sid|bearer|dpop)($|[-_.])",
    re.IGNORECASE,
)
_PLAIN = (str, bytes, bool, int, float, Timestamp, Duration)
_QUERY = frozenset({"request.query", "request.query_params"})


class Masking:
    """Tells of a value as much as may be told.

    Args:
        secrets: Names that are secret beyond those that look so, in lower case.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets)

    def is_secret(self, name: str) -> bool:
        """Whether the value of a header, or of a key of an attribute, must not be told."""
        return name.lower() in self._secrets or bool(_SECRET.search(name))

    def value(self, names: tuple[str, ...], value: object) -> str:
        """A value as it may be told: on one line, bounded.

        Args:
            names: Of the header, or of the attribute and the keys in it.
            value: Any; None is no value.
        """
        if value is None:
            return "absent"
        secret = any(map(self.is_secret, names)) or not _QUERY.isdisjoint(names)
        if secret or not isinstance(value, _PLAIN):  # a map may have a secret anywhere
            return MASKED
        text = without_query(_text(value))
        return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def without_query(target: str) -> str:
    """A target without what is behind the question mark, which may hold secrets.

    Any text may be one: proxies tell targets in headers of many names.
    """
    path, mark, _ = target.partition("?")
    return f"{path}?{MASKED}" if mark else path


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value[: 4 * LONGEST_VALUE].decode(errors="backslashreplace")
    return one_line(str(value), 4 * LONGEST_VALUE)
