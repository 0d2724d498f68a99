"""``attributemanifest``: which attributes there are, and of which type."""

from collections.abc import Iterable, Mapping

from mixer.attributes import ValueType
from mixer.convert.fields import Fields
from mixer.convert.findings import Findings
from mixer.convert.resources import Resource

_UNSPECIFIED = "VALUE_TYPE_UNSPECIFIED"
_TYPES = (
    _UNSPECIFIED, "STRING", "INT64", "DOUBLE", "BOOL", "TIMESTAMP", "IP_ADDRESS", "EMAIL_ADDRESS",
    "URI", "DNS_NAME", "DURATION", "STRING_MAP",
)  # fmt: skip
"""In the order of their numbers."""


def read_manifests(
    manifests: Iterable[Resource], known: Mapping[str, ValueType], findings: Findings
) -> dict[str, ValueType]:
    """The attributes that are declared.

    Args:
        manifests: The resources.
        known: Attributes that are there without.
        findings: Told of what is wrong.
    """
    declared: dict[str, ValueType] = {}
    for resource in manifests:
        with findings.attempting(resource.document):
            spec = resource.spec()
            spec.take("revision")
            spec.take("name")
            attributes = spec.inner("attributes")
            for name in attributes.names():
                with findings.attempting(resource.document):
                    _declare(name, attributes.inner(name), known, declared, findings)
            spec.finish(findings)
    return declared


def _declare(
    name: str,
    attribute: Fields,
    known: Mapping[str, ValueType],
    declared: dict[str, ValueType],
    findings: Findings,
) -> None:
    chosen = attribute.choice("valueType", _TYPES)
    attribute.take("description")
    attribute.finish(findings)
    path = attribute.where("valueType")
    if chosen == _UNSPECIFIED:
        findings.lost(attribute.document, path, "the attribute has no type")
        return
    before = known.get(name) or declared.get(name)
    if before is not None and before != chosen:
        findings.lost(attribute.document, path, f"{name} is a {before} already")
        return
    declared[name] = ValueType(chosen)
