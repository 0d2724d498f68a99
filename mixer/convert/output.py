"""What comes of a conversion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixer.config.model import dns_label, dns_subdomain
from mixer.convert.findings import LostError
from mixer.convert.resources import Part, Resource


@dataclass(frozen=True, slots=True)
class Output:
    """One document.

    Attributes:
        kind: ``WasmPlugin``, ``MixerRule`` or ``Mixer``.
        name: Of the document.
        namespace: Of the document; empty for none.
        spec: Of the document.
        annotations: Of the document.
    """

    kind: str
    name: str
    namespace: str
    spec: Mapping[str, Any]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As it is written."""
        metadata: dict[str, Any] = {"name": self.name}
        if self.namespace:
            metadata["namespace"] = self.namespace
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        api = _API[self.kind]
        return {"apiVersion": api, "kind": self.kind, "metadata": metadata, "spec": self.spec}


_API = {
    "WasmPlugin": "extensions.istio.io/v1alpha1",
    "MixerRule": "mixer.dev/v1alpha1",
    "Mixer": "mixer.dev/v1alpha1",
}


def adapter(
    handler: Part,
    module: str,
    config: Mapping[str, Any],
    *,
    annotations: Mapping[str, str] | None = None,
    **spec: str,
) -> Output:
    """The adapter that stands for a handler, under a name that tells it in messages as Mixer does.

    Args:
        handler: The handler.
        module: Name of a module that comes with this project.
        config: Of the module.
        annotations: Of the document.
        **spec: More fields of its spec.

    Raises:
        LostError: No document can have the name of the handler.
    """
    resource = handler.resource
    check_name(resource)
    newer = resource.kind == "handler"
    name = resource.name if newer else f"{resource.name}.{resource.kind}"
    whole = {"url": f"builtin://{module}", **spec, "pluginConfig": dict(config)}
    return Output("WasmPlugin", name, resource.namespace, whole, annotations or {})


def check_name(resource: Resource) -> None:
    """Raise LostError where a document cannot have the name or the namespace of a resource."""
    for name, value, check in (
        ("name", resource.name, dns_subdomain),
        ("namespace", resource.namespace, dns_label),
    ):
        try:
            check(value)
        except ValueError as error:
            raise LostError(("metadata", name), str(error)) from None
