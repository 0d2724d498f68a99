"""The name and labels that Envoy's /stats/prometheus gives a metric of a module.

Measured on Envoy 1.40, whose Wasm metrics are in the namespace ``wasmcustom``: the namespace is
left out, nothing is put in its place, and what no name may have becomes an underscore. Two of
Envoy's built-in tag rules look only at the end of a name, so that they catch these metrics as well.

Labels that a module wrote into a name are taken out, which Envoy does only where its ``stats_tags``
name them.
"""

import re
from dataclasses import dataclass

from mixer.telemetry.family import Labels
from mixer.telemetry.tags import split_labels

NAMESPACE = "wasmcustom"
"""Of the metrics of modules in Envoy."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_CODE = re.compile(r"_rq_([0-9]{3})\Z")
_CODE_CLASS = re.compile(r"_rq_([0-9])xx\Z")


@dataclass(frozen=True, slots=True)
class ExposedName:
    """How a metric is told.

    Attributes:
        prometheus: Its name; None where Envoy leaves it out, since it would begin with a digit.
        otel: Its name with the namespace, and with every character that the module gave it.
        labels: What its name said.
    """

    prometheus: str | None
    otel: str
    labels: Labels


def exposed_name(name: str) -> ExposedName:
    """Name a metric.

    Args:
        name: As the module gave it, without dots at its end.
    """
    stem, labels = _labelled(name)
    full = f"{NAMESPACE}.{stem}" if stem else NAMESPACE
    if not stem:  # without a name there is no namespace before it either
        return ExposedName(f"envoy_{NAMESPACE}", full, labels)
    clean = _NOT_IN_NAMES.sub("_", stem)
    return ExposedName(None if clean[0].isdigit() else clean, full, labels)


def _labelled(name: str) -> tuple[str, Labels]:
    rest, written = split_labels(name)
    stem, labels = _extract(rest)
    if not labels or not written:
        return stem, labels or written
    if labels[0][0] in dict(written):
        return _extract(name)  # one label cannot have two values
    return stem, (*labels, *written)


def _extract(name: str) -> tuple[str, Labels]:
    if match := _CODE_CLASS.search(name):
        return f"{name[: match.start()]}_rq_xx", (("envoy_response_code_class", match[1]),)
    if match := _CODE.search(name):
        return f"{name[: match.start()]}_rq", (("envoy_response_code", match[1]),)
    return name, ()
