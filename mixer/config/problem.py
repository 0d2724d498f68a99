"""What is wrong with a configuration: where it is, and what to do about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

FieldPath = tuple[str | int, ...]
"""Keys and indices that lead from the top of a document to a field."""

CONFIGURATIONS = frozenset({"pluginConfig", "defaultConfig", "config"})
"""Fields that hold what a module gets: nothing in them is told, be it a key or a value."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_KEY = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or (as a notice) without effect.

    Attributes:
        file: The file as it was named to ``load``.
        line: From 1; 0 when it is about the file as a whole.
        field: Such as ``spec.vmConfig.env[0].name``; empty when it is about no field.
        message: What is wrong; never a value of ``pluginConfig`` or of ``env``, but for the name of
            a cluster.
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.message) if part)


class ConfigError(Exception):
    """The configuration was refused as a whole.

    Args:
        problems: All that is wrong with it, sorted by file and line here.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line)))
        super().__init__("\n".join(map(str, self.problems)))


def field_name(path: FieldPath) -> str:
    """Write a path the way Kubernetes does: ``spec.match[0].ports``.

    Everything below a configuration of a module is left out: its keys may be secrets too, such as a
    table of API keys, and the line number is enough to find the place.
    """
    name = ""
    for part in path:
        name += _step(part, first=not name)
        if part in CONFIGURATIONS:
            break
    return name


def _step(part: str | int, *, first: bool) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _PLAIN_KEY.fullmatch(part):
        return part if first else f".{part}"
    # repr() keeps line breaks and terminal escapes of a hostile file out of the log.
    shown = repr(part[:_LONGEST_KEY])[1:-1]
    return f"[{shown}]"
