"""``listchecker``: what is in a list is refused, or what is not."""

import ipaddress
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mixer.attributes import ValueType
from mixer.cel import EvaluationError, ExpressionError, Program
from mixer.cel.activation import AttributeActivation
from mixer.convert.cexl.cel import quote
from mixer.convert.fields import Fields
from mixer.convert.findings import LostError
from mixer.convert.handlers.policy import policy, read_validity
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.spans import SECOND
from mixer.convert.workshop import Use, Workshop, bounded, translated, with_match

_TYPES = ("STRINGS", "CASE_INSENSITIVE_STRINGS", "IP_ADDRESSES", "REGEX")
_CHECKED = frozenset({ValueType.STRING, ValueType.IP_ADDRESS})
_LONGEST_ENTRY = 1024
_MOST_ENTRIES = 10_000
_MOST_PATTERNS = 256
_FETCHING = ("refreshInterval", "ttl")


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter. Raises LostError."""
    params = handler.params()
    checked = {
        "type": params.choice("entryType", _TYPES),
        "blacklist": params.flag("blacklist", False),
    }
    checked["entries"] = _entries(params, str(checked["type"]), workshop)
    if url := params.text("providerUrl"):
        message = f"lists are not fetched: put the entries of {url[:200]!r} under entries"
        workshop.lost(handler, params.where("providerUrl"), message)
    for name in _FETCHING:
        params.span(name)
    validity = read_validity(
        params, ("cachingInterval", 300 * SECOND), ("cachingUseCount", 10_000), workshop
    )  # fmt: skip
    params.finish(workshop.findings)
    return policy(handler, _rules(checked, uses, workshop), validity, workshop)


def _rules(
    checked: dict[str, Any], uses: list[Use], workshop: Workshop
) -> Iterator[dict[str, Any]]:
    for use in uses:
        document = use.instance.resource.document
        value = workshop.attempt(document, partial(_value, use.instance, workshop))
        if value is not None:
            yield with_match(use, {"name": use.rule.name, "list": {"value": value, **checked}})


def _value(instance: Part, workshop: Workshop) -> str:
    params = instance.params()
    text = params.text("value")
    value, _ = translated(
        params.where("value"), text, lambda one: workshop.translator.value(one, _CHECKED)
    )
    params.finish(workshop.findings)
    return value


def _entries(params: Fields, kind: str, workshop: Workshop) -> list[str]:
    check = _CHECKS.get(kind, _text)
    entries: dict[str, None] = {}
    for path, text in params.texts("overrides"):
        if not text and kind != "REGEX":
            continue  # as in Mixer
        with workshop.findings.attempting(params.document):
            if problem := check(text):
                raise LostError(path, problem)
            entries[text] = None
    most = _MOST_PATTERNS if kind == "REGEX" else _MOST_ENTRIES
    where = params.where("overrides")
    return bounded(workshop.findings, params.document, where, list(entries), most)


def _text(text: str) -> str | None:
    if not text or len(text.encode()) > _LONGEST_ENTRY:
        return f"an entry has 1 to {_LONGEST_ENTRY} bytes"
    return None


def _address(text: str) -> str | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is no IP address, and no network such as 10.0.0.0/8"
    if "/" not in text and network.version != 4:
        return "an IPv6 address needs a length, such as /128: Mixer refuses it"
    return None


def _pattern(text: str) -> str | None:
    try:
        Program(f'"".matches({quote(text)})'.encode()).evaluate(AttributeActivation(_absent))
    except (EvaluationError, ExpressionError):
        return "is no regular expression"
    return _text(text)


def _absent(_name: str) -> None:
    return None


_CHECKS: dict[str, Callable[[str], str | None]] = {"IP_ADDRESSES": _address, "REGEX": _pattern}
