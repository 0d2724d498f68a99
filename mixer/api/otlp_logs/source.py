"""What the resolvers are given: one log record, and the batch that it came in."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mixer.api.otlp_logs.values import of_kind, plain, plain_map
from mixer.attributes import FindCaller, HeaderMap, Kind, Value
from mixer.wire.twins import text_of


class Batch:
    """The records of one resource and scope.

    Args:
        resource: ``opentelemetry.proto.resource.v1.Resource``.
        scope: ``opentelemetry.proto.common.v1.InstrumentationScope``.
        caller: Tells who calls.
    """

    def __init__(self, resource: Any, scope: Any, caller: FindCaller) -> None:
        self._resource = resource
        self.scope = scope
        self.caller = caller

    @cached_property
    def resource(self) -> Mapping[str, Any]:
        """The attributes of the resource."""
        return plain_map(self._resource.attributes)


class LogSource:
    """One record.

    Args:
        record: ``opentelemetry.proto.logs.v1.LogRecord``.
        batch: Where it comes from.

    Attributes:
        record: As given, and so the next one.
        headers: Of the request; whoever makes this sets it, and the next two.
        response_headers: Of the response; empty where none are told.
        response_trailers: Likewise.
    """

    __slots__ = (
        "_told", "batch", "headers", "record", "response_headers", "response_trailers",
    )  # fmt: skip

    headers: HeaderMap
    response_headers: HeaderMap
    response_trailers: HeaderMap

    def __init__(self, record: Any, batch: Batch) -> None:
        self.record = record
        self.batch = batch
        self._told: dict[str, Any] | None = None

    @property
    def caller(self) -> FindCaller:
        """Tells who calls."""
        return self.batch.caller

    @property
    def told(self) -> dict[str, Any]:
        """The attributes as they came, ``AnyValue`` by key."""
        told = self._told
        if told is None:
            told = self._told = {text_of(pair.key): pair.value for pair in self.record.attributes}
        return told

    def raw(self, key: str) -> Any:
        """An attribute as it was told; None where it is absent."""
        value = self.told.get(key)
        return None if value is None else plain(value)

    def get(self, kind: Kind, *keys: str) -> Value | None:
        """The first of some attributes that is there and of a kind; None where none is."""
        told = self.told
        for key in keys:
            if key in told:
                value = of_kind(kind, plain(told[key]))
                if value is not None:
                    return value
        return None

    def text(self, *keys: str) -> str | None:
        """The first of some attributes that is a text."""
        value = self.get(Kind.STRING, *keys)
        return value if isinstance(value, str) else None

    def number(self, *keys: str) -> int | None:
        """The first of some attributes that is a number."""
        value = self.get(Kind.INT, *keys)
        return value if isinstance(value, int) else None

    def all(self, key: str) -> tuple[str, ...]:
        """The values of an attribute that is a text or a list of them."""
        found = self.raw(key)
        texts = found if isinstance(found, list) else [found]
        return tuple(one for text in texts if isinstance(one := of_kind(Kind.STRING, text), str))
