"""Prometheus' two text formats.

Not prometheus-client's writer: in the older format it calls a counter ``requests``
``requests_total``, where the name must be the one that Envoy tells; it writes everything in one go,
while requests wait; and to import it takes a sixth of the service's start. The tests read what is
written with its parsers.

Source: the pages "Exposition formats" of Prometheus, and OpenMetrics 1.0.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from mixer.telemetry.family import Bins, Family, Kind, Labels, Sample

_MILLION = 1_000_000


class Exposition(Protocol):
    """A format.

    Attributes:
        content_type: Of the whole.
        end: Text after the last family.
    """

    content_type: str
    end: str

    def write(self, families: Iterable[Family]) -> str:
        """The lines of some families."""


class PrometheusText:
    """Format 0.0.4."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"
    end = ""

    def write(self, families: Iterable[Family]) -> str:
        """See `Exposition`."""
        return "".join(map(_family_0_0_4, families))


class OpenMetrics:
    """OpenMetrics 1.0.

    There the samples of a counter must end in ``_total``. A counter of a module that has another
    name keeps it, and is of unknown type: Prometheus stores names, and does nothing with types.

    Args:
        is_taken: Whether a sample of any family has a name.
    """

    content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    end = "# EOF\n"

    def __init__(self, is_taken: Callable[[str], bool]) -> None:
        self._is_taken = is_taken

    def write(self, families: Iterable[Family]) -> str:
        """See `Exposition`."""
        return "".join(map(self._family, families))

    def _family(self, family: Family) -> str:
        if family.continued:
            return _samples(family, _open_metrics_bounds, sum_may_be_negative=False)
        name, kind = family.name, family.kind.value
        if family.kind is Kind.COUNTER:
            name, kind = self._counter(name)
        text = f"# TYPE {name} {kind}\n"
        if family.help:
            text += f"# HELP {name} {_escaped(family.help)}\n"
        return text + _samples(family, _open_metrics_bounds, sum_may_be_negative=False)

    def _counter(self, name: str) -> tuple[str, str]:
        stem = name.removesuffix("_total")
        if stem in ("", name) or self._is_taken(stem) or self._is_taken(f"{stem}_created"):
            return name, "unknown"
        return stem, "counter"


def negotiate(accept: str, open_metrics: OpenMetrics) -> Exposition:
    """Choose a format by an Accept header, which may be empty; the older one in doubt."""
    weights = dict(_media_ranges(accept))
    newer = weights.get("application/openmetrics-text", 0.0)
    older = weights.get("text/plain", weights.get("text/*", weights.get("*/*", 0.0)))
    return open_metrics if newer > 0 and newer >= older else PrometheusText()


def _media_ranges(accept: str) -> Iterable[tuple[str, float]]:
    """Types with their weights, the highest of each last."""
    found = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [p[2:] for p in parameters if p.startswith("q=")]
        found.append((media, _weight(weights[0]) if weights else 1.0))
    return sorted(found, key=lambda one: one[1])


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _family_0_0_4(family: Family) -> str:
    if family.continued:
        return _samples(family, _text_bounds, sum_may_be_negative=True)
    help_line = f"# HELP {family.name} {_escaped_help(family.help)}\n" if family.help else ""
    type_line = f"# TYPE {family.name} {family.kind.value}\n"
    return help_line + type_line + _samples(family, _text_bounds, sum_may_be_negative=True)


_WriteBounds = Callable[[tuple[float, ...]], tuple[str, ...]]


def _samples(family: Family, bounds: _WriteBounds, *, sum_may_be_negative: bool) -> str:
    lines = []
    for sample in family.samples:
        if isinstance(sample.value, Bins):
            written = bounds(sample.value.bounds)
            lines += _histogram(family.name, sample.labels, sample.value, written)
            if sample.value.total < 0 and not sum_may_be_negative:
                del lines[-2:]
        else:
            lines.append(_line(family.name, sample))
    return "".join(lines)


def _line(name: str, sample: Sample) -> str:
    labels = _labels(sample.labels)
    return f"{name}{{{labels}}} {sample.value}\n" if labels else f"{name} {sample.value}\n"


def _histogram(name: str, labels: Labels, bins: Bins, bounds: tuple[str, ...]) -> list[str]:
    own = _labels(labels)
    before = f"{name}_bucket{{{own}{',' if own else ''}le="
    braced = f"{{{own}}}" if own else ""
    counts = list(accumulate(bins.counts))
    lines = [f'{before}"{le}"}} {n}\n' for le, n in zip(bounds, counts, strict=True)]
    return [*lines, f"{name}_count{braced} {counts[-1]}\n", f"{name}_sum{braced} {bins.total}\n"]


def _labels(labels: Labels) -> str:
    return ",".join(f'{name.replace(".", "_")}="{_escaped(str(value))}"' for name, value in labels)


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escaped(text: str) -> str:
    return _escaped_help(text).replace('"', r"\"")


def _canonical(bound: float) -> str:
    """As Go writes a float, which OpenMetrics asks for."""
    return f"{bound / _MILLION!r}e+06" if bound >= _MILLION else repr(float(bound))


@lru_cache
def _text_bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(f"{bound:.12g}" for bound in bounds), "+Inf")


@lru_cache
def _open_metrics_bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*map(_canonical, bounds), "+Inf")
