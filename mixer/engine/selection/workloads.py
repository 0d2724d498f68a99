"""Which workloads a WasmPlugin is for: Istio's ``selector`` and ``targetRefs``.

In a mesh a plugin is in the proxies of the workloads that it selects. Here the caller is such a
proxy, and may tell the labels of its workload: ``destination.labels``, or ``source.labels`` where
it asks for a request that goes out. Labels that contradict exclude the request; where none are told
nothing is known, and nothing is excluded.
"""

from collections.abc import Callable, Mapping, Sequence

from mixer.attributes import AttributeBag

_OUTBOUND = 2


def workload_matcher(
    wanted: Sequence[Mapping[str, str]],
) -> Callable[[AttributeBag], bool] | None:
    """What tells whether the workload may have one of these sets of labels; None for no sets."""
    if not wanted:
        return None

    def matches(bag: AttributeBag) -> bool:
        outbound = bag.get("xds.listener_direction") == _OUTBOUND
        told = bag.get("source.labels" if outbound else "destination.labels")
        if not isinstance(told, Mapping) or not told:
            return True
        return any(_has(told, labels) for labels in wanted)

    return matches


def _has(told: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    return all(told.get(name) == value for name, value in labels.items())
