"""What the handlers that refuse requests share: ``builtin://policy``."""

from collections.abc import Iterable
from typing import Any

from mixer.config.document import Document
from mixer.convert.fields import Fields
from mixer.convert.output import Output, adapter
from mixer.convert.resources import Part
from mixer.convert.spans import LONGEST_VALIDITY, written
from mixer.convert.workshop import Workshop, bounded

_LONGEST_MESSAGE = 1024
_MOST_RULES = 256
_MOST_USES = (1 << 31) - 1


def policy(
    handler: Part, rules: Iterable[dict[str, Any]], validity: dict[str, Any], workshop: Workshop
) -> list[Output]:
    """The adapter of some rules; none where there are no rules."""
    document = handler.resource.document
    listed = bounded(workshop.findings, document, ("metadata", "name"), list(rules), _MOST_RULES)
    if not listed:
        return []
    config = {"rules": listed, **validity}
    return [adapter(handler, "policy", config, phase="AUTHZ")]


def read_validity(
    params: Fields, span: tuple[str, int], uses: tuple[str, int], workshop: Workshop
) -> dict[str, Any]:
    """How long and how often an answer holds.

    Args:
        params: Of the handler.
        span: Name and default of the field with the time, in nanoseconds.
        uses: Name and default of the field with the number of uses.
        workshop: Told of what is changed.

    Raises:
        LostError: A field has the wrong type.
    """
    length, count = params.span(*span), params.whole(*uses)
    if length > LONGEST_VALIDITY:
        _cut(params.document, params, span[0], "24h", workshop)
    if count > _MOST_USES:
        _cut(params.document, params, uses[0], str(_MOST_USES), workshop)
    return {
        "validDuration": written(min(length, LONGEST_VALIDITY)),
        "validUseCount": max(-1, min(count, _MOST_USES)),
    }


def _cut(document: Document, params: Fields, name: str, bound: str, workshop: Workshop) -> None:
    workshop.findings.differs(document, params.where(name), f"at most {bound} here")


def printable(text: str) -> str:
    """A message as an adapter takes it."""
    return "".join(one if one.isprintable() else " " for one in text)[:_LONGEST_MESSAGE]
