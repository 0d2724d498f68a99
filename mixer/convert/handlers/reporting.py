"""What the handlers of reports share: ``builtin://telemetry``."""

import re
from dataclasses import dataclass
from typing import Any

from mixer.convert.fields import Fields
from mixer.convert.findings import Findings, LostError
from mixer.convert.output import Output, adapter
from mixer.convert.resources import Part
from mixer.convert.workshop import Workshop, bounded, translated

_NO_CHECK = {"mixer.dev/valid-duration": "1m", "mixer.dev/valid-use-count": "10000"}
"""What Mixer says of a check that no adapter has a say in: else no answer could be kept."""

_WITHOUT_EFFECT = ("monitoredResourceType", "monitoredResourceDimensions")


@dataclass(frozen=True, slots=True)
class Names:
    """The names that fields of an entry, or labels of a metric, can have.

    Attributes:
        form: Of a name.
        reserved: That have a meaning of their own.
        rule: The same, said.
        most: How many there can be.
    """

    form: re.Pattern[str]
    reserved: frozenset[str]
    rule: str
    most: int


FIELDS = Names(
    re.compile(r"[A-Za-z0-9._-]{1,64}"),
    frozenset({"instance", "level"}),
    "must be 1 to 64 letters, digits, '.', '-' and '_', and not instance or level",
    64,
)
"""Of a log entry."""

LABELS = Names(
    re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}"),
    frozenset({"le", "overflow"}),
    "must be 1 to 64 letters, digits and '_', a letter first, and not le or overflow",
    32,
)
"""Of a metric."""


def telemetry(
    handler: Part, kind: str, entries: list[dict[str, Any]], most: int, workshop: Workshop
) -> list[Output]:
    """The adapter of some metrics or log entries; none where there are none."""
    document = handler.resource.document
    kept = bounded(workshop.findings, document, ("metadata", "name"), entries, most)
    if not kept:
        return []
    config = {kind: kept}
    return [
        adapter(
            handler, "telemetry", config, annotations=_NO_CHECK, phase="STATS",
            failStrategy="FAIL_OPEN",
        )
    ]  # fmt: skip


def read_values(inner: Fields, names_of: "Names", workshop: Workshop) -> dict[str, str]:
    """Expressions by name; one that cannot be carried over is left out and told.

    Raises:
        LostError: One has the wrong type.
    """
    values: dict[str, str] = {}
    findings = workshop.findings
    names = inner.names()
    for name in bounded(findings, inner.document, inner.path, names, names_of.most):
        with findings.attempting(inner.document):
            if not names_of.form.fullmatch(name) or name in names_of.reserved:
                raise LostError(inner.where(name), names_of.rule)
            translate = workshop.translator.value
            values[name], _ = translated(inner.where(name), inner.text(name), translate)
    return values


def finish(params: Fields, findings: Findings) -> None:
    """Report unknown fields, but for what these adapters of Mixer do not look at either."""
    for name in _WITHOUT_EFFECT:
        params.take(name)
    params.finish(findings)
