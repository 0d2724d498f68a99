"""The resources of a Mixer configuration, under the names by which rules refer to them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mixer.config.document import Document
from mixer.config.problem import FieldPath
from mixer.config.validation import one_of, type_name
from mixer.convert.fields import Fields
from mixer.convert.findings import Findings, LostError, Outcome

API = "config.istio.io/"

ADAPTERS = frozenset({"denier", "listchecker", "memquota", "redisquota", "stdio", "prometheus"})
"""The adapters that are carried over."""

_OTHER_ADAPTERS = frozenset(
    {
        *("bypass", "circonus", "cloudwatch", "dogstatsd", "fluentd", "kubernetesenv", "noop"),
        *("opa", "rbac", "signalfx", "solarwinds", "stackdriver", "statsd", "zipkin"),
    }
)
TEMPLATES = frozenset({"checknothing", "listentry", "quota", "logentry", "metric", "reportnothing"})
"""The templates that are carried over."""

_OTHER_TEMPLATES = frozenset({"apikey", "authorization", "edge", "kubernetes", "tracespan"})
_KINDS = frozenset({"rule", "handler", "instance", "attributemanifest"})
_NOT_CARRIED_OVER = {
    "QuotaSpec": "which requests ask for which quota is said where they are asked for: in the"
    " proxy, or by mixer.client",
    "QuotaSpecBinding": "which services ask for quotas is said where they are asked for: in the"
    " proxy, or by mixer.client",
    "template": "templates of adapters outside of Mixer have no counterpart",
    "adapter": "adapters outside of Mixer have no counterpart: write a Proxy-Wasm module",
    "HTTPAPISpec": "attributes of an API are not computed here",
    "HTTPAPISpecBinding": "attributes of an API are not computed here",
}
_INSTANCES_OF_OLD = TEMPLATES | _OTHER_TEMPLATES
_HANDLERS_OF_OLD = ADAPTERS | _OTHER_ADAPTERS


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource.

    Attributes:
        kind: As written, such as ``handler`` or ``denier``.
        name: Of the resource.
        namespace: Of the resource, or the one that is assumed.
        document: Where it is.
    """

    kind: str
    name: str
    namespace: str
    document: Document = field(repr=False)

    @property
    def full_name(self) -> str:
        """``name.kind.namespace``."""
        return f"{self.name}.{self.kind}.{self.namespace}"

    def spec(self) -> Fields:
        """Its fields. Raises LostError."""
        data = self.document.data
        return Fields(self.document, ("spec",), data.get("spec") if isinstance(data, dict) else {})


@dataclass(frozen=True, slots=True)
class Part:
    """A handler or an instance, in its newer or its older form.

    Attributes:
        resource: What it is.
        type: Its adapter, or its template.
    """

    resource: Resource
    type: str

    def params(self) -> Fields:
        """Its parameters. Raises LostError."""
        spec = self.resource.spec()
        return spec.inner("params") if self.resource.kind in _KINDS else spec


@dataclass(slots=True)
class Resources:
    """All of them.

    Attributes:
        rules: In the order of the files.
        manifests: Of attributes.
        handlers: By full name.
        instances: By full name.
    """

    rules: list[Resource] = field(default_factory=list)
    manifests: list[Resource] = field(default_factory=list)
    handlers: dict[str, Part] = field(default_factory=dict)
    instances: dict[str, Part] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rules or self.manifests or self.handlers or self.instances)


def collect(documents: Iterable[Document], namespace: str, findings: Findings) -> Resources:
    """Sort documents by what they are.

    Args:
        documents: Of all files.
        namespace: Of those that name none.
        findings: Told of what is no resource of Mixer.
    """
    resources, seen = Resources(), dict[str, Document]()
    for document in documents:
        with findings.attempting(document):
            resource = _resource(document, namespace, findings)
            if resource is not None:
                _only_once(resource, seen)
                _sort(resource, resources, findings)
    return resources


def _resource(document: Document, namespace: str, findings: Findings) -> Resource | None:
    data = document.data
    if not isinstance(data, dict):
        raise LostError((), f"must be a mapping, not {type_name(data)}")
    top = Fields(document, (), data)
    kind = top.text("kind")
    if not kind:
        raise LostError(("kind",), "is required")
    if not top.text("apiVersion").startswith(API):
        message = f"{kind[:80]!r} is no configuration of Mixer ({API}v1alpha2)"
        findings.add(Outcome.PASSED_OVER, document, ("kind",), message)
        return None
    metadata = top.inner("metadata")
    name = metadata.text("name")
    if not name:
        raise LostError(("metadata", "name"), "is required")
    return Resource(kind, name, metadata.text("namespace") or namespace, document)


def _only_once(resource: Resource, seen: dict[str, Document]) -> None:
    first = seen.setdefault(resource.full_name, resource.document)
    if first is not resource.document:
        place = f"{first.file}:{first.line(('metadata', 'name'))}"
        raise LostError(("metadata", "name"), f"the name is taken: the first is at {place}")


def _sort(resource: Resource, resources: Resources, findings: Findings) -> None:
    kind = resource.kind
    if kind == "rule":
        resources.rules.append(resource)
    elif kind == "attributemanifest":
        resources.manifests.append(resource)
    elif kind in {"handler", *_HANDLERS_OF_OLD}:
        resources.handlers[resource.full_name] = Part(resource, _adapter(resource, findings))
    elif kind in {"instance", *_INSTANCES_OF_OLD}:
        resources.instances[resource.full_name] = Part(resource, _template(resource, findings))
    elif kind in _NOT_CARRIED_OVER:
        raise LostError(("kind",), f"{kind} {resource.name!r}: {_NOT_CARRIED_OVER[kind]}")
    else:
        known = sorted(_KINDS | ADAPTERS | TEMPLATES)
        raise LostError(("kind",), f"unknown kind: {one_of(known, kind)}")


def _adapter(resource: Resource, findings: Findings) -> str:
    if resource.kind != "handler":
        return resource.kind
    spec = resource.spec()
    compiled, outside = spec.text("compiledAdapter"), spec.text("adapter")
    if not compiled:
        reason = f"adapter {outside!r} runs outside of Mixer" if outside else "is required"
        raise LostError(spec.where("compiledAdapter"), reason)
    spec.inner("params")
    spec.take("connection")
    spec.finish(findings)
    return compiled


def _template(resource: Resource, findings: Findings) -> str:
    if resource.kind != "instance":
        return resource.kind
    spec = resource.spec()
    if spec.has("attributeBindings"):
        message = "attributes are not computed here; they come from the proxy"
        findings.lost(resource.document, spec.where("attributeBindings"), message)
    compiled, outside = spec.text("compiledTemplate"), spec.text("template")
    if not compiled:
        given = f"template {outside!r} is for adapters outside of Mixer"
        raise LostError(spec.where("compiledTemplate"), given if outside else "is required")
    spec.inner("params")
    spec.finish(findings)
    return compiled


def find(parts: Mapping[str, Part], reference: str, kind: str, namespace: str) -> Part | None:
    """What a rule refers to: by name, by ``name.kind``, ``name.namespace``, or in full."""
    candidates = _full_names(reference.split("."), kind, namespace)
    return next((parts[one] for one in candidates if one in parts), None)


def _full_names(words: list[str], kind: str, namespace: str) -> Iterator[str]:
    if len(words) == 1:
        yield f"{words[0]}.{kind}.{namespace}"
    elif len(words) == 2:
        yield f"{words[0]}.{words[1]}.{namespace}"
        yield f"{words[0]}.{kind}.{words[1]}"
    else:
        yield ".".join(words)


def place(part: Part, path: FieldPath = ()) -> str:
    """``file:line`` of a resource or of a field of it."""
    return f"{part.resource.document.file}:{part.resource.document.line(path)}"
