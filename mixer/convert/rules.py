"""``rule``: what is done for which requests."""

import re
from collections.abc import Iterator

from mixer.convert.cexl import Translator
from mixer.convert.fields import Fields
from mixer.convert.findings import LostError
from mixer.convert.output import Output, check_name
from mixer.convert.resources import ADAPTERS, Part, Resource, Resources, find
from mixer.convert.workshop import Use, Workshop, translated

_HEADER = re.compile(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,255}")
_OPERATIONS = ("REPLACE", "REMOVE", "APPEND")
_SUPPORTED = {
    "denier": frozenset({"checknothing", "listentry", "quota"}),
    "listchecker": frozenset({"listentry"}),
    "memquota": frozenset({"quota"}),
    "redisquota": frozenset({"quota"}),
    "stdio": frozenset({"logentry", "metric"}),
    "prometheus": frozenset({"metric"}),
}
"""The templates that each adapter takes."""

Uses = dict[str, list[Use]]
"""By the full name of the handler."""


def read_rule(rule: Resource, resources: Resources, workshop: Workshop, uses: Uses) -> list[Output]:
    """Note what a rule does with handlers, and make a document of its header operations.

    Raises:
        LostError: The whole rule cannot be carried over.
    """
    spec = rule.spec()
    match = _match(rule, spec, workshop)
    actions = spec.items("actions")
    documents = list(_operations(rule, spec, match, workshop))
    for action in actions:
        with workshop.findings.attempting(rule.document):
            _read_action(action, rule, match, resources, workshop, uses)
    spec.take("name")
    spec.finish(workshop.findings)
    return documents


def _match(rule: Resource, spec: Fields, workshop: Workshop) -> str | None:
    """Rules of other namespaces than the root's are for the traffic of their namespace."""
    scope = "" if rule.namespace == workshop.root_namespace else rule.namespace
    text = spec.text("match")
    return translated(
        spec.where("match"), text, lambda one: workshop.translator.match(one, scope)
    )  # fmt: skip


def _read_action(
    action: Fields,
    rule: Resource,
    match: str | None,
    resources: Resources,
    workshop: Workshop,
    uses: Uses,
) -> None:
    reference = action.text("handler")
    named = action.text("name")
    instances = action.texts("instances")
    action.finish(workshop.findings)
    where = action.where("handler")
    handler = find(resources.handlers, reference, "handler", rule.namespace)
    if handler is None:
        raise LostError(where, f"there is no handler {reference!r}")
    if handler.type not in ADAPTERS:
        raise LostError(where, f"{reference!r} is of adapter {handler.type!r}, which has no "
                               "counterpart")  # fmt: skip
    if named:
        workshop.findings.lost(rule.document, action.where("name"), "no action has an output here")
    found: dict[str, Part] = {}
    for path, name in instances:
        with workshop.findings.attempting(rule.document):
            instance = _instance(path, name, rule, handler, resources)
            if instance.resource.full_name in found:
                raise LostError(path, "the instance is named twice")
            found[instance.resource.full_name] = instance
    noted = uses.setdefault(handler.resource.full_name, [])
    noted += (Use(rule, match, one) for one in found.values())


def _instance(
    path: tuple[str | int, ...], name: str, rule: Resource, handler: Part, resources: Resources
) -> Part:
    instance = find(resources.instances, name, "instance", rule.namespace)
    if instance is None:
        raise LostError(path, f"there is no instance {name!r}")
    if instance.type not in _SUPPORTED[handler.type]:
        message = f"{name!r} is of template {instance.type!r}, which {handler.type} does not take"
        raise LostError(path, message)
    return instance


def _operations(
    rule: Resource, spec: Fields, match: str | None, workshop: Workshop
) -> Iterator[Output]:
    done: dict[str, object] = {} if match is None else {"match": match}
    some = False
    for name in ("requestHeaderOperations", "responseHeaderOperations"):
        operations = []
        for one in spec.items(name):
            with workshop.findings.attempting(rule.document):
                operations.append(_operation(one, workshop.translator))
                one.finish(workshop.findings)
        if operations:
            done[name], some = operations, True
    if some:
        check_name(rule)
        yield Output("MixerRule", rule.name, rule.namespace, done)


def _operation(one: Fields, translator: Translator) -> dict[str, object]:
    operation = one.choice("operation", _OPERATIONS)
    name = one.text("name")
    if not _HEADER.fullmatch(name):
        raise LostError(one.where("name"), "must be the name of a header")
    written: dict[str, object] = {"name": name, "operation": operation}
    values = one.texts("values")
    if operation == "REMOVE":
        return written
    if not values:
        raise LostError(one.where("values"), f"{operation} needs a value")
    written["values"] = [_value(path, text, translator) for path, text in values]
    return written


def _value(path: tuple[str | int, ...], text: str, translator: Translator) -> str:
    if ".output." in text or "{{" in text:
        raise LostError(path, "what a handler gives back is not known here")
    return translated(path, text, translator.string)
