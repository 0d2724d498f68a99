"""What a conversion has to tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from mixer.config.document import Document
from mixer.config.problem import FieldPath, Problem


class Outcome(StrEnum):
    """What became of something; the value is said in a report."""

    LOST = "not carried over"
    DIFFERS = "differs"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is told.

    Attributes:
        outcome: What became of it.
        problem: Where it is, and why.
    """

    outcome: Outcome
    problem: Problem

    def __str__(self) -> str:
        one = self.problem
        place = f"{one.file}:{one.line}" if one.line else one.file
        return ": ".join(part for part in (place, one.field, self.outcome, one.message) if part)


class LostError(Exception):
    """Something in a document cannot be carried over.

    Args:
        path: The field.
        message: Why.
    """

    def __init__(self, path: FieldPath, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(slots=True)
class Findings:
    """Collects findings, each once."""

    found: dict[Finding, None] = field(default_factory=dict)

    def add(self, outcome: Outcome, document: Document, path: FieldPath, message: str) -> None:
        """Tell something about a field of a document."""
        self.found[Finding(outcome, document.problem(path, message))] = None

    def lost(self, document: Document, path: FieldPath, message: str) -> None:
        """Tell that something is not carried over."""
        self.add(Outcome.LOST, document, path, message)

    def differs(self, document: Document, path: FieldPath, message: str) -> None:
        """Tell that something is carried over, and does not do quite the same."""
        self.add(Outcome.DIFFERS, document, path, message)

    @contextmanager
    def attempting(self, document: Document) -> Iterator[None]:
        """Tell of a `LostError` instead of letting it through."""
        try:
            yield
        except LostError as error:
            self.lost(document, error.path, error.message)
