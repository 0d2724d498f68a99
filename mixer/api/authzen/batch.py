"""Several evaluations in one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mixer.api.authzen.errors import MalformedError
from mixer.api.authzen.evaluation import Evaluation, complete, read_entities

MOST_EVALUATIONS = 256


class Semantic(StrEnum):
    """How far the evaluations go."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends_with(self, decision: bool) -> bool:
        """Whether there is nothing to evaluate after a decision."""
        return self is (
            Semantic.PERMIT_ON_FIRST_PERMIT if decision else Semantic.DENY_ON_FIRST_DENY
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be evaluated.

    Attributes:
        items: In order; an error in place of one that is malformed, which is denied.
        semantic: How far to go.
    """

    items: tuple[Evaluation | MalformedError, ...]
    semantic: Semantic


def read_evaluation(told: Mapping[str, Any]) -> Evaluation:
    """Read a request for one evaluation.

    Raises:
        MalformedError: It is none.
    """
    return complete(read_entities(told))


def read_batch(told: Mapping[str, Any]) -> Batch | Evaluation:
    """Read a request for several evaluations; one without any asks for the one that it is itself.

    Raises:
        MalformedError: It is none.
    """
    evaluations = told.get("evaluations", [])
    if not isinstance(evaluations, list):
        raise MalformedError("evaluations must be an array")
    if len(evaluations) > MOST_EVALUATIONS:
        raise MalformedError(f"evaluations must have at most {MOST_EVALUATIONS} elements")
    semantic = _semantic(told.get("options", {}))
    if not evaluations:
        return read_evaluation(told)
    defaults = read_entities(told)
    return Batch(tuple(_item(n, one, defaults) for n, one in enumerate(evaluations)), semantic)


def _semantic(options: Any) -> Semantic:
    if not isinstance(options, dict):
        raise MalformedError("options must be an object")
    told = options.get("evaluations_semantic", Semantic.EXECUTE_ALL)
    try:
        return Semantic(told)
    except ValueError:
        known = ", ".join(Semantic)
        raise MalformedError(f"options.evaluations_semantic must be one of {known}") from None


def _item(
    number: int, told: Any, defaults: Mapping[str, Mapping[str, Any]]
) -> Evaluation | MalformedError:
    where = f"evaluations[{number}]"
    if not isinstance(told, dict):
        return MalformedError(f"{where} must be an object")
    try:
        return complete({**defaults, **read_entities(told)})
    except MalformedError as error:
        return MalformedError(f"{where}: {error}")
