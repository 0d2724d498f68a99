"""``prometheus``: counts, sets and observes metrics."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from mixer.attributes import ValueType
from mixer.convert.fields import Fields
from mixer.convert.findings import LostError
from mixer.convert.handlers.reporting import LABELS, finish, read_values, telemetry
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.workshop import Use, Workshop, translated, with_match

_KINDS = ("UNSPECIFIED", "GAUGE", "COUNTER", "DISTRIBUTION")
_OURS = {"GAUGE": "GAUGE", "COUNTER": "COUNTER", "DISTRIBUTION": "HISTOGRAM"}
_NUMBERS = frozenset({ValueType.INT64, ValueType.DOUBLE, ValueType.DURATION, ValueType.STRING})
_MOST_METRICS = 64
_SECONDS = "_seconds"
_SEPARATORS = re.compile(r"[/. ]")


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter. Raises LostError."""
    params = handler.params()
    metrics = {one.text("instanceName"): one for one in params.items("metrics")}
    if params.has("metricsExpirationPolicy"):
        message = "metrics that are not reported any more are kept"
        workshop.differs(handler, params.where("metricsExpirationPolicy"), message)
    params.finish(workshop.findings)
    converted = [one for use in uses if (one := _convert(use, metrics, workshop)) is not None]
    for metric in metrics.values():
        metric.finish(workshop.findings)
    return telemetry(handler, "metrics", converted, _MOST_METRICS, workshop)


def _convert(use: Use, metrics: Mapping[str, Fields], workshop: Workshop) -> dict[str, Any] | None:
    instance = use.instance
    metric = metrics.get(instance.resource.full_name)
    if metric is None:
        message = f"the handler has no metric for {instance.resource.full_name!r}"
        workshop.lost(instance, ("metadata", "name"), message)
        return None
    document = instance.resource.document
    found = workshop.attempt(document, partial(_read_instance, instance, workshop))
    if found is None:
        return None
    entry = workshop.attempt(metric.document, partial(_metric, metric, *found, workshop))
    return None if entry is None else with_match(use, entry)


def _read_instance(
    instance: Part, workshop: Workshop
) -> tuple[tuple[str, ValueType], dict[str, str]]:
    params = instance.params()
    value = translated(
        params.where("value"),
        params.text("value"),
        lambda one: workshop.translator.value(one, _NUMBERS),
    )
    dimensions = read_values(params.inner("dimensions"), LABELS, workshop)
    finish(params, workshop.findings)
    return value, dimensions


def _metric(
    metric: Fields,
    value: tuple[str, ValueType],
    dimensions: Mapping[str, str],
    workshop: Workshop,
) -> dict[str, Any]:
    kind = metric.choice("kind", _KINDS)
    if kind not in _OURS:
        raise LostError(metric.where("kind"), "must be GAUGE, COUNTER or DISTRIBUTION")
    _read_buckets(metric, kind, workshop)
    metric.text("description")
    entry = {"name": _name(metric, value[1], workshop), "kind": _OURS[kind], "value": value[0]}
    return {**entry, "dimensions": _labels(metric, dimensions, workshop)}


def _name(metric: Fields, kind: ValueType, workshop: Workshop) -> str:
    """Durations are counted in whole milliseconds, and numbers are whole."""
    prefix = _safe(metric.text("namespace", "istio"))
    name = _safe(metric.text("name") or metric.text("instanceName"))
    where = metric.where("name" if metric.has("name") else "instanceName")
    if kind is ValueType.DURATION:
        name = f"{name.removesuffix(_SECONDS)}_milliseconds"
        message = f"in whole milliseconds, as {prefix}_{name}"
        workshop.findings.differs(metric.document, where, message)
    elif kind in {ValueType.DOUBLE, ValueType.STRING}:
        message = "a whole number: what is behind the point is cut off"
        workshop.findings.differs(metric.document, where, message)
    return f"{prefix}_{name}"


def _safe(name: str) -> str:
    return _SEPARATORS.sub("_", name.removeprefix("/")).replace("-", "")


def _read_buckets(metric: Fields, kind: str, workshop: Workshop) -> None:
    if metric.has("buckets") and kind == "DISTRIBUTION":
        message = "a histogram has the buckets of Envoy"
        workshop.findings.differs(metric.document, metric.where("buckets"), message)
    metric.take("buckets")


def _labels(metric: Fields, dimensions: Mapping[str, str], workshop: Workshop) -> dict[str, str]:
    """The labels are the dimensions, and both have to be the same for Mixer."""
    named = {name: path for path, name in metric.texts("labelNames")}
    for name, path in named.items():
        if name not in dimensions:
            message = f"the instance has no dimension {name!r}"
            workshop.findings.lost(metric.document, path, message)
    for name in dimensions:
        if name not in named:
            message = f"dimension {name!r} is no label"
            workshop.findings.lost(metric.document, metric.where("labelNames"), message)
    return {_safe(name): dimensions[name] for name in named if name in dimensions}
