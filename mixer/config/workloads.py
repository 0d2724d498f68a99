"""Workloads of a mesh, as a ``WasmPlugin`` selects them.

Source: ``selector`` and ``targetRefs`` in the reference of Istio's WasmPlugin.
"""

from collections.abc import Mapping, Sequence

from pydantic import Field

from mixer.config.model import Model, StringMap, no_strings

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label that Istio gives the proxies of a Gateway."""

WHERE_TOLD = (
    "excludes only requests whose caller tells the labels of its workload: destination.labels, or"
    " source.labels where the request goes out"
)
ONLY_GATEWAYS = "has no effect: only of a Gateway is it known which proxies it has"


class WorkloadSelector(Model):
    """Workloads of a mesh that a plugin is for."""

    match_labels: StringMap = Field(default_factory=no_strings)


class PolicyTargetReference(Model):
    """A resource of a mesh that a plugin is attached to."""

    group: str = ""
    kind: str
    name: str
    namespace: str | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether it is a Gateway: nothing tells which proxies another one has."""
        return (self.group, self.kind) == ("gateway.networking.k8s.io", "Gateway")


Labels = Mapping[str, str]


def wanted_labels(
    selector: WorkloadSelector | None, targets: Sequence[PolicyTargetReference]
) -> tuple[Labels, ...]:
    """Labels of which a workload must have one set; none where that cannot be told."""
    if selector is not None:
        return (selector.match_labels,) if selector.match_labels else ()
    if not all(target.is_gateway for target in targets):
        return ()
    return tuple({GATEWAY_NAME: target.name} for target in targets)
