"""Which requests a WasmPlugin is for: Istio's ``match``.

A traffic selector names a mode (as client or as server) and ports; a request is matched if one
selector does. What a caller does not tell, such as the direction of the traffic, cannot exclude it:
an adapter that denies must not be passed over for want of an attribute.
"""

from collections.abc import Callable, Sequence

from mixer.attributes import AttributeBag
from mixer.config.wasmplugin import TrafficSelector, WorkloadMode

Matcher = Callable[[AttributeBag], bool]

_DIRECTION = {WorkloadMode.SERVER: 1, WorkloadMode.CLIENT: 2}


def matcher(selectors: Sequence[TrafficSelector]) -> Matcher | None:
    """Compile the selectors; None where there are none and every request matches."""
    if not selectors:
        return None
    compiled = [_selector(s) for s in selectors]
    return lambda bag: any(matches(bag) for matches in compiled)


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
