"""What the handlers of quotas share: ``builtin://quota``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mixer.attributes import ValueType
from mixer.config.problem import FieldPath
from mixer.convert.fields import Fields
from mixer.convert.findings import LostError
from mixer.convert.output import Output, adapter
from mixer.convert.resources import Part
from mixer.convert.spans import SECOND, written
from mixer.convert.workshop import Use, Workshop, bounded, translated


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as its handler has it.

    Attributes:
        params: Where its fields are.
        max: Amount in a window.
        window: Nanoseconds; 0 is for ever.
    """

    params: Fields
    max: int
    window: int


def read_quotas(params: Fields) -> dict[str, Quota]:
    """By the full name of the instance. Raises LostError."""
    return {
        one.text("name"): Quota(one, one.whole("maxAmount", 0), one.span("validDuration"))
        for one in params.items("quotas")
    }


_MOST_QUOTAS = 256
_MOST_DIMENSIONS = 16
_LONGEST_EXPRESSION = 1024
_AMOUNTS = range(1, 1 << 53)
_WINDOWS = range(10**6, 8760 * 3600 * SECOND + 1)
_SEVERAL = (
    "several rules use it: it is for what any of them matches, while Mixer grants it in full where"
    " one does not match"
)
_LIMIT = "a limit is an amount from 1 on in a validDuration from 1ms to 8760h: none is for ever"

OverrideWindow = Callable[[Fields, Quota], int]
"""The window of an override, in nanoseconds. Raises LostError."""


def convert_quotas(
    handler: Part,
    uses: list[Use],
    quotas: Mapping[str, Quota],
    window: OverrideWindow,
    workshop: Workshop,
    remembered: int = 0,
) -> list[Output]:
    """The adapter that grants the quotas which rules use; none where there are none.

    Args:
        handler: Of the quotas.
        uses: What rules hand to it.
        quotas: By the full name of the instance.
        window: Of an override.
        workshop: The tools.
        remembered: How long an answer is given again for the same id of deduplication;
            nanoseconds, 0 as the adapter does by itself.
    """
    converter = _Quotas(quotas, window, workshop)
    for name, quota in quotas.items():
        if all(use.instance.resource.full_name != name for use in uses):
            message = f"no rule hands {name!r} to this handler"
            workshop.lost(handler, quota.params.where("name"), message)
    written_down: dict[str, dict[str, Any]] = {}
    for instance, matches in _by_instance(uses):
        document = instance.resource.document
        name = instance.resource.name
        if len(matches) > 1:
            workshop.differs(instance, ("metadata", "name"), _SEVERAL)
        entry = workshop.attempt(document, partial(converter.convert, instance, matches))
        if entry is not None and name in written_down:
            message = f"two instances are named {name!r}, and callers ask for a quota by that"
            workshop.lost(instance, ("metadata", "name"), message)
        elif entry is not None:
            written_down[name] = entry
    if not written_down:
        return []
    kept = bounded(
        workshop.findings, handler.resource.document, ("spec",), list(written_down), _MOST_QUOTAS
    )
    config: dict[str, Any] = {"quotas": [written_down[name] for name in kept]}
    if remembered:
        config["deduplication"] = {"window": written(remembered)}
    named = {"mixer.dev/quotas": ",".join(kept)}
    return [adapter(handler, "quota", config, annotations=named)]


def _by_instance(uses: list[Use]) -> list[tuple[Part, list[str | None]]]:
    found: dict[str, tuple[Part, list[str | None]]] = {}
    for use in uses:
        found.setdefault(use.instance.resource.full_name, (use.instance, []))[1].append(use.match)
    return list(found.values())


def _with_matches(entry: dict[str, Any], matches: list[str | None]) -> dict[str, Any]:
    """A quota of several rules is for what any of them matches."""
    if None in matches:
        return entry
    texts = [str(one) for one in dict.fromkeys(matches)]
    whole = texts[0] if len(texts) == 1 else " || ".join(f"({one})" for one in texts)
    _check_length(whole, ("metadata", "name"))
    return {**entry, "match": whole}


def _check_length(text: str, path: FieldPath) -> None:
    if len(text.encode()) > _LONGEST_EXPRESSION:
        message = f"it has over {_LONGEST_EXPRESSION} bytes in CEL, which the adapter does not take"
        raise LostError(path, message)


@dataclass(frozen=True, slots=True)
class _Quotas:
    """Converts the quotas of one handler."""

    quotas: Mapping[str, Quota]
    window: OverrideWindow
    workshop: Workshop

    def convert(self, instance: Part, matches: list[str | None]) -> dict[str, Any]:
        """The entry of an instance. Raises LostError."""
        resource = instance.resource
        quota = self.quotas.get(resource.full_name)
        if quota is None:
            message = f"the handler has no limit for {resource.full_name!r}"
            raise LostError(("metadata", "name"), message)
        self._check_limit(quota)
        dimensions, addresses = self._dimensions(instance)
        overrides = []
        for one in quota.params.items("overrides"):
            with self.workshop.findings.attempting(one.document):
                overrides.append(self._override(one, quota, set(dimensions), addresses))
        quota.params.finish(self.workshop.findings)
        limit = {"name": resource.name, "max": quota.max, "window": written(quota.window)}
        whole = {**limit, "dimensions": dimensions, "overrides": overrides}
        return _with_matches(whole, matches)

    def _check_limit(self, quota: Quota) -> None:
        params = quota.params
        if quota.window not in _WINDOWS or quota.max not in _AMOUNTS:
            self.workshop.findings.lost(params.document, params.path, _LIMIT)
            raise LostError(("metadata", "name"), "its limit is not carried over")

    def _dimensions(self, instance: Part) -> tuple[dict[str, str], set[str]]:
        """The expressions by name, and the names of those that give addresses."""
        params = instance.params()
        inner = params.inner("dimensions")
        params.finish(self.workshop.findings)
        dimensions: dict[str, str] = {}
        addresses: set[str] = set()
        names = inner.names()
        if len(names) > _MOST_DIMENSIONS:
            raise LostError(inner.path, f"an adapter takes {_MOST_DIMENSIONS} dimensions")
        for name in names:
            translate = self.workshop.translator.text
            dimensions[name], kind = translated(inner.where(name), inner.text(name), translate)
            _check_length(dimensions[name], inner.where(name))
            if kind is ValueType.IP_ADDRESS:
                addresses.add(name)
        return dimensions, addresses

    def _override(
        self, one: Fields, quota: Quota, dimensions: set[str], addresses: set[str]
    ) -> dict[str, Any]:
        inner = one.inner("dimensions")
        wanted = {name: inner.text(name) for name in inner.names()}
        limit, window = one.whole("maxAmount", 0), self.window(one, quota)
        one.finish(self.workshop.findings)
        for name in wanted:
            if name not in dimensions:
                raise LostError(inner.where(name), f"the instance has no dimension {name!r}")
            if name in addresses:
                raise LostError(inner.where(name), "an address, which is no text to compare with")
        if not wanted or limit not in _AMOUNTS or window not in _WINDOWS:
            raise LostError(one.path, f"{_LIMIT}; and dimensions")
        return {"dimensions": wanted, "max": limit, "window": written(window)}
