"""``denier``: refuses whatever its rules match."""

from collections.abc import Iterator
from typing import Any

from mixer.convert.findings import LostError
from mixer.convert.handlers.policy import policy, printable, read_validity
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.spans import SECOND
from mixer.convert.workshop import Use, Workshop, with_match

_FAILED_PRECONDITION = 9
_CODES = range(1, 17)


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter. Raises LostError."""
    params = handler.params()
    status = params.inner("status")
    code = status.whole("code", _FAILED_PRECONDITION)
    if code not in _CODES:
        raise LostError(status.where("code"), "must be a gRPC code from 1 to 16: 0 would allow")
    deny = {"code": code, "message": printable(status.text("message"))}
    if status.take("details"):
        workshop.lost(handler, status.where("details"), "a refusal has no details")
    validity = read_validity(
        params, ("validDuration", 5 * SECOND), ("validUseCount", 1000), workshop
    )  # fmt: skip
    status.finish(workshop.findings)
    params.finish(workshop.findings)
    return policy(handler, _rules(deny, uses, workshop), validity, workshop)


def _rules(deny: dict[str, Any], uses: list[Use], workshop: Workshop) -> Iterator[dict[str, Any]]:
    denied: set[str] = set()
    for use in uses:
        if use.instance.type == "quota":
            message = "a denier refuses this quota: leave it out of the adapter of quotas instead"
            workshop.lost(use.instance, ("metadata", "name"), message)
        elif use.rule.full_name not in denied:  # more instances refuse the same once more
            denied.add(use.rule.full_name)
            yield with_match(use, {"name": use.rule.name, "deny": deny})
