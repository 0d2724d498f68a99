"""What every part of a conversion works with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mixer.config.document import Document
from mixer.config.problem import FieldPath
from mixer.convert.cexl import CexlError, Translator
from mixer.convert.findings import Findings, LostError
from mixer.convert.resources import Part, Resource

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools of one conversion.

    Attributes:
        translator: Of expressions.
        findings: What is told.
        root_namespace: Whose rules are for all requests.
    """

    translator: Translator
    findings: Findings
    root_namespace: str

    def lost(self, part: Part, path: FieldPath, message: str) -> None:
        """Tell that something of a handler or an instance is not carried over."""
        self.findings.lost(part.resource.document, path, message)

    def differs(self, part: Part, path: FieldPath, message: str) -> None:
        """Tell that something of a handler or an instance does not do quite the same."""
        self.findings.differs(part.resource.document, path, message)

    def attempt(self, document: Document, work: Callable[[], _T]) -> _T | None:
        """What some work gives, or None where it is told why it cannot be done."""
        try:
            return work()
        except LostError as error:
            self.findings.lost(document, error.path, error.message)
            return None


def translated(path: FieldPath, text: str, translate: Callable[[str], _T]) -> _T:
    """Translate an expression.

    Raises:
        LostError: It cannot be carried over.
    """
    try:
        return translate(text)
    except CexlError as error:
        raise LostError(path, str(error)) from None


def bounded(
    findings: Findings, document: Document, path: FieldPath, listed: list[_T], most: int
) -> list[_T]:
    """A list as an adapter takes it: what is beyond its bound is told, and left out."""
    if len(listed) > most:
        message = f"{len(listed)} where the adapter takes {most}: the last {len(listed) - most}"
        findings.lost(document, path, message)
    return listed[:most]


@dataclass(frozen=True, slots=True)
class Use:
    """An instance that a rule hands to a handler.

    Attributes:
        rule: The rule.
        match: When, in CEL; None for always.
        instance: What.
    """

    rule: Resource
    match: str | None
    instance: Part


def with_match(use: Use, entry: dict[str, object]) -> dict[str, object]:
    """An entry of an adapter's configuration, for the requests of a rule."""
    return entry if use.match is None else {**entry, "match": use.match}
