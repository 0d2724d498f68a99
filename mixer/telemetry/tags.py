"""Labels within the name of a metric: ``source=.=web;.;code=.=200;.;requests_total``.

The ABI knows no labels, so that modules write them into names. Those of Istio's proxies do it like
this, and Envoy reads them by the rules of its ``stats_tags``. So does the adapter ``telemetry``,
which escapes what a value must not have: ``%``, ``;``, control characters, what is no UTF-8 and a
dot at the end, as ``%`` and two hexadecimal digits.
"""

import re

from mixer.telemetry.family import Labels

MAX_LABELS = 64
"""In one name."""

_END, _IS = ";.;", "=.="
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OF_HISTOGRAMS = "le"
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def split_labels(name: str) -> tuple[str, Labels]:
    """Take the labels out of a name.

    Args:
        name: As the module gave it.

    Returns:
        The rest of the name, and the labels by name; the whole name and none where it is not
        written so, or Prometheus could not read the labels.
    """
    if _END not in name:
        return name, ()
    *tags, stem = name.split(_END)
    parts = [tag.partition(_IS) for tag in tags]
    labels = {label: _unescaped(value) for label, _, value in parts}
    sound = all(separator and _is_label(label) for label, separator, _ in parts)
    if not stem or not sound or len(labels) < len(parts) or len(labels) > MAX_LABELS:
        return name, ()
    return stem, tuple(sorted(labels.items()))


def _is_label(label: str) -> bool:
    return _LABEL.fullmatch(label) is not None and label != _OF_HISTOGRAMS


def _unescaped(value: str) -> str:
    if "%" not in value:
        return value
    content = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), value.encode())
    return content.decode(errors="backslashreplace")
