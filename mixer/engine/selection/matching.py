"""Which requests a WasmPlugin is for: Istio's ``match``, and the expression of ``mixer.dev/match``.

A traffic selector names a mode (as client or as server) and ports; a request is matched if one
selector does. What a caller does not tell, such as the direction of the traffic, cannot exclude it:
an adapter that denies must not be passed over for want of an attribute. So it is with expressions:
only one that is false excludes a request, not one that has no value.
"""

from collections.abc import Callable, Sequence

from mixer.attributes import AttributeBag
from mixer.cel import AttributeActivation, BudgetError, EvaluationError, Program
from mixer.config.wasmplugin import TrafficSelector, WasmPluginSpec, WorkloadMode
from mixer.engine.selection.workloads import workload_matcher

Matcher = Callable[[AttributeBag], bool]

_DIRECTION = {WorkloadMode.SERVER: 1, WorkloadMode.CLIENT: 2}


def matcher(spec: WasmPluginSpec, expression: Program | None = None) -> Matcher | None:
    """What tells whether a request is for a plugin; None where every request is.

    Args:
        spec: Selects traffic and workloads.
        expression: Of ``mixer.dev/match``.
    """
    parts = [_traffic(spec.match), workload_matcher(spec.workload_labels), _expression(expression)]
    found = [part for part in parts if part is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return lambda bag: all(matches(bag) for matches in found)


def _traffic(selectors: Sequence[TrafficSelector]) -> Matcher | None:
    compiled = [_selector(s) for s in selectors]
    if len(compiled) <= 1:
        return compiled[0] if compiled else None
    return lambda bag: any(matches(bag) for matches in compiled)


def _expression(program: Program | None) -> Matcher | None:
    if program is None:
        return None

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
