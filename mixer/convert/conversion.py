"""A whole Mixer configuration, converted."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mixer.attributes import ISTIO_VOCABULARY, ValueType
from mixer.config.document import Document
from mixer.convert.cexl import Translator
from mixer.convert.findings import Finding, Findings, Outcome
from mixer.convert.handlers import HANDLERS
from mixer.convert.manifests import read_manifests
from mixer.convert.output import Output
from mixer.convert.reading import read
from mixer.convert.resources import ADAPTERS, Resources, collect
from mixer.convert.rules import Uses, read_rule
from mixer.convert.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of it.

    Attributes:
        outputs: The documents.
        findings: What was not carried over, differs or was passed over, by file and line.
        empty: Whether there was nothing of Mixer at all.
    """

    outputs: tuple[Output, ...]
    findings: tuple[Finding, ...]
    empty: bool

    @property
    def complete(self) -> bool:
        """Whether everything was carried over."""
        return all(one.outcome is not Outcome.LOST for one in self.findings)


def convert(
    path: Path, namespace: str = "default", root_namespace: str = "istio-system"
) -> Conversion:
    """Convert a Mixer configuration of Istio 1.x.

    Args:
        path: A YAML file, or a folder of them.
        namespace: Of resources that name none.
        root_namespace: Whose rules are for all traffic; those of others are for the traffic of
            their own.

    Raises:
        ConfigError: Something cannot be read, or is no YAML.
    """
    return convert_documents(read(path), namespace, root_namespace)


def convert_documents(
    documents: Iterable[Document], namespace: str, root_namespace: str
) -> Conversion:
    """The same for documents that have been read."""
    findings = Findings()
    resources = collect(documents, namespace, findings)
    declared = read_manifests(resources.manifests, ISTIO_VOCABULARY, findings)
    translator = Translator(MappingProxyType({**ISTIO_VOCABULARY, **declared}))
    outputs = _convert(resources, Workshop(translator, findings, root_namespace))
    outputs.append(_service(declared, outputs, findings, resources))
    told = sorted(findings.found, key=lambda one: (one.problem.file, one.problem.line))
    kept = tuple(one for one in outputs if one.spec)
    return Conversion(kept, tuple(told), empty=not resources)


def _convert(resources: Resources, workshop: Workshop) -> list[Output]:
    outputs: list[Output] = []
    uses: Uses = {}
    for rule in resources.rules:
        read_one = partial(read_rule, rule, resources, workshop, uses)
        outputs += workshop.attempt(rule.document, read_one) or ()
    for name, handler in resources.handlers.items():
        document = handler.resource.document
        if handler.type not in ADAPTERS:
            message = f"adapter {handler.type!r} has no counterpart"
            workshop.findings.lost(document, ("metadata", "name"), message)
        elif uses.get(name):
            work = partial(HANDLERS[handler.type], handler, uses[name], workshop)
            outputs += workshop.attempt(document, work) or ()
        else:
            message = "no rule that is carried over uses this handler"
            workshop.findings.add(
                Outcome.PASSED_OVER, document, ("metadata", "name"), message
            )  # fmt: skip
    return outputs


def _service(
    declared: dict[str, ValueType], outputs: list[Output], findings: Findings, resources: Resources
) -> Output:
    """One document for the service, of all that say something about it."""
    spec: dict[str, Any] = {}
    if declared:
        spec["attributeManifest"] = {name: str(kind) for name, kind in declared.items()}
    for one in [one for one in outputs if one.kind == "Mixer"]:
        outputs.remove(one)
        if spec.get("state", one.spec["state"]) != one.spec["state"]:
            _tell_of_stores(resources, findings)
        spec.setdefault("state", one.spec["state"])
    return Output("Mixer", "mixer", "", spec)


def _tell_of_stores(resources: Resources, findings: Findings) -> None:
    for part in resources.handlers.values():
        if part.type == "redisquota":
            message = "two handlers have two servers, and a service has one store: the first one's"
            findings.lost(part.resource.document, ("spec",), message)
