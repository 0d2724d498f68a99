"""Which requests a WasmPlugin is for: Istio's ``match``, and the expression of ``mixer.dev/match``.

A traffic selector names a mode (as client or as server) and ports; a request is matched if one
selector does. What a caller does not tell, such as the direction of the traffic, cannot exclude it:
an adapter that denies must not be passed over for want of an attribute. So it is with expressions:
only one that is false excludes a request, not one that has no value.
"""

from collections.abc import Callable, Sequence

from mixer.attributes import AttributeBag
from mixer.cel import AttributeActivation, BudgetError, EvaluationError, Program
from mixer.config.wasmplugin import TrafficSelector, WorkloadMode

Matcher = Callable[[AttributeBag], bool]

_DIRECTION = {WorkloadMode.SERVER: 1, WorkloadMode.CLIENT: 2}


def matcher(
    selectors: Sequence[TrafficSelector], expression: Program | None = None
) -> Matcher | None:
    """What tells whether a request matches both; None where every request does."""
    if not selectors:
        return None if expression is None else _expression(expression)
    compiled = [_selector(s) for s in selectors]
    if expression is None:
        return lambda bag: any(matches(bag) for matches in compiled)
    agrees = _expression(expression)
    return lambda bag: any(matches(bag) for matches in compiled) and agrees(bag)


def _expression(program: Program) -> Matcher:
    def matches(bag: AttributeBag) -> bool:
        try:
            return program.evaluate(AttributeActivation(bag.get)) is not False
        except (EvaluationError, BudgetError):
            return True

    return matches


def _selector(selector: TrafficSelector) -> Matcher:
    direction = _DIRECTION.get(selector.mode)
    ports = {port.number for port in selector.ports}

    def matches(bag: AttributeBag) -> bool:
        return _agrees(bag.get("xds.listener_direction"), direction) and (
            not ports or bag.get("destination.port") in (*ports, None)
        )

    return matches


def _agrees(known: object, wanted: int | None) -> bool:
    return wanted is None or known is None or known == wanted
