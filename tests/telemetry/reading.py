"""Metrics as text, and text as Prometheus' own client reads it."""

import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mixer.engine import Engine
from mixer.shedding import Shedder
from mixer.telemetry import Calls, Exposition, Metrics, OpenMetrics, PrometheusText, SpanCounts
from mixer.telemetry.access import Access

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and labels."""


def written(metrics: Metrics, format_: Exposition | None = None) -> str:
    """All metrics, in the older format unless told otherwise."""
    format_ = format_ or PrometheusText()
    return "".join(map(format_.write, metrics.pieces())) + format_.end


def series_of(text: str) -> Series:
    """What the text says; it must say nothing twice."""
    types_of(text)
    # As of no type: the parser gives every counter the end that only OpenMetrics asks for, so that
    # counters `x` and `x_total`, which Prometheus tells apart, would be one.
    untyped = re.sub(r"(?m)^(# TYPE \S+) counter$", r"\1 untyped", text)
    samples = [s for f in parse_text(untyped) for s in f.samples]
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
    assert len(found) == len(samples)
    return found


def types_of(text: str) -> dict[str, str]:
    """The type of each name; no name may come twice."""
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    found = {name: kind for _, _, name, kind in lines}
    assert len(found) == len(lines)
    return found


def open_series_of(text: str) -> Series:
    """What OpenMetrics text says; the parser refuses what clashes."""
    samples = [s for f in parse_open(text) for s in f.samples]
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}


def scrape(
    engine: Engine,
    shedder: Shedder | None = None,
    access: Access | None = None,
    calls: Calls | None = None,
    spans: SpanCounts | None = None,
) -> Series:
    """What an engine, a shedder and the listeners tell, in both formats, which must agree."""
    metrics = Metrics(engine, shedder, access, calls, spans)
    found = series_of(written(metrics))
    newer = open_series_of(written(metrics, OpenMetrics(metrics.is_taken)))
    plain = {key for key in found if "le" not in dict(key[1])}
    assert {key: newer[key] for key in plain} == {key: found[key] for key in plain}
    return found
