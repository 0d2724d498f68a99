"""Metrics as text, and text as Prometheus' own client reads it."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mixer.engine import Engine
from mixer.telemetry import Exposition, Metrics, OpenMetrics, PrometheusText

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and labels."""


def written(metrics: Metrics, format_: Exposition | None = None) -> str:
    """All metrics, in the older format unless told otherwise."""
    format_ = format_ or PrometheusText()
    return "".join(map(format_.write, metrics.pieces())) + format_.end


def series_of(text: str) -> Series:
    """What the text says; it must say nothing twice."""
    types = types_of(text)
    samples = [s for f in parse_text(text) for s in f.samples]
    found = {(_real(s.name, types), tuple(sorted(s.labels.items()))): s.value for s in samples}
    assert len(found) == len(samples)
    return found


def _real(name: str, types: dict[str, str]) -> str:
    """The parser gives every counter the end that only OpenMetrics asks for."""
    stem = name.removesuffix("_total")
    return stem if name not in types and types.get(stem) == "counter" else name


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


def scrape(engine: Engine) -> Series:
    """What an engine tells, in both formats, which must agree."""
    metrics = Metrics(engine)
    found = series_of(written(metrics))
    newer = open_series_of(written(metrics, OpenMetrics(metrics.is_taken)))
    plain = {key for key in found if "le" not in dict(key[1])}
    assert {key: newer[key] for key in plain} == {key: found[key] for key in plain}
    return found
