"""What Mixer answered to a check, read from its message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2

from mixer.attributes import Duration
from mixer.cli.mixer_v1.times import format_duration
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.dictionary import WORDS

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Status:
    """A status of gRPC.

    Attributes:
        code: Its number.
        message: What was said of it.
    """

    code: int
    message: str

    @property
    def name(self) -> str:
        """The name of the code, or its number where it has none."""
        value = code_pb2.Code.DESCRIPTOR.values_by_number.get(self.code)
        return f"CODE_{self.code}" if value is None else str(value.name)

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"code": self.code, "name": self.name, "message": self.message}


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute that the answer follows from.

    Attributes:
        name: Of the attribute.
        key: Of an entry of its string map; None for the attribute itself.
        condition: ``EXACT``, ``ABSENCE``, ``REGEX``, or another one's number.
        regex: For ``REGEX``.
    """

    name: str
    key: str | None
    condition: str
    regex: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        pairs = (("name", self.name), ("map_key", self.key), ("condition", self.condition))
        return dict(pairs) | ({"regex": self.regex} if self.regex else {})


@dataclass(frozen=True, slots=True)
class Operation:
    """A change of a header.

    Attributes:
        name: Of the header.
        value: To give it.
        operation: ``REPLACE``, ``REMOVE``, ``APPEND``, or another one's number.
    """

    name: str
    value: str
    operation: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"name": self.name, "value": self.value, "operation": self.operation}


@dataclass(frozen=True, slots=True)
class QuotaAnswer:
    """What came of one quota.

    Attributes:
        asked: The amount that was asked for.
        granted: The amount that was given; None where the answer tells nothing of this quota.
        valid_duration: How long it may be used.
        status: Of the allocation.
        references: What it follows from.
    """

    asked: int
    granted: int | None
    valid_duration: Duration
    status: Status
    references: tuple[Reference, ...]

    @property
    def refused(self) -> bool:
        """Whether nothing of what was asked for was given."""
        return self.granted is None or self.status.code != 0 or self.granted <= 0 < self.asked

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "asked": self.asked,
            "granted": self.granted,
            "valid_duration": format_duration(self.valid_duration),
            "status": self.status.as_json(),
            "referenced_attributes": [one.as_json() for one in self.references],
        }


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What came of a check.

    Attributes:
        status: Of the precondition.
        valid_duration: How long it holds for requests alike.
        valid_use_count: How often; negative for any number.
        references: What makes requests alike.
        request_operations: On the request's headers.
        response_operations: On the response's headers.
        direct_response: Status and body to answer instead of the upstream, or None.
        quotas: By name.
    """

    status: Status
    valid_duration: Duration
    valid_use_count: int
    references: tuple[Reference, ...]
    request_operations: tuple[Operation, ...]
    response_operations: tuple[Operation, ...]
    direct_response: tuple[int, str] | None
    quotas: Mapping[str, QuotaAnswer]

    @property
    def refused(self) -> bool:
        """Whether the request is denied, or a quota gave nothing."""
        return self.status.code != 0 or any(quota.refused for quota in self.quotas.values())

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        direct = self.direct_response
        return {
            "status": self.status.as_json(),
            "valid_duration": format_duration(self.valid_duration),
            "valid_use_count": self.valid_use_count,
            "referenced_attributes": [one.as_json() for one in self.references],
            "route_directive": {
                "request_header_operations": [one.as_json() for one in self.request_operations],
                "response_header_operations": [one.as_json() for one in self.response_operations],
                "direct_response": direct and {"code": direct[0], "body": direct[1]},
            },
            "quotas": {name: quota.as_json() for name, quota in self.quotas.items()},
        }


def read_check(response: pb.CheckResponse, asked: Mapping[str, int]) -> CheckAnswer:
    """Read an answer; indices that name no word are shown as such.

    Args:
        response: What Mixer sent.
        asked: The amounts that were asked for, by quota.
    """
    told = response.precondition
    route = told.route_directive
    direct = (route.direct_response_code, route.direct_response_body)
    return CheckAnswer(
        status=_status(told.status),
        valid_duration=_duration(told.valid_duration),
        valid_use_count=told.valid_use_count,
        references=_references(told.referenced_attributes),
        request_operations=_operations(route.request_header_operations),
        response_operations=_operations(route.response_header_operations),
        direct_response=direct if direct[0] else None,
        quotas=_quotas(response, asked),
    )


def _quotas(response: pb.CheckResponse, asked: Mapping[str, int]) -> dict[str, QuotaAnswer]:
    names = [*asked, *sorted(set(response.quotas) - set(asked))]
    return {name: _quota(response, name, asked.get(name, 0)) for name in names}


def _quota(response: pb.CheckResponse, name: str, asked: int) -> QuotaAnswer:
    if name not in response.quotas:
        return QuotaAnswer(asked, None, Duration(0), Status(0, ""), ())
    told = response.quotas[name]
    return QuotaAnswer(
        asked,
        told.granted_amount,
        _duration(told.valid_duration),
        _status(told.status),
        _references(told.referenced_attributes),
    )


def _status(status: Any) -> Status:
    return Status(status.code, status.message)


def _duration(duration: Any) -> Duration:
    return Duration(duration.seconds * _NS + duration.nanos)


def _references(told: pb.ReferencedAttributes) -> tuple[Reference, ...]:
    found = (
        Reference(
            name=_word(match.name, told.words),
            key=_word(match.map_key, told.words) if match.map_key else None,
            condition=_name(pb.ReferencedAttributes.Condition, match.condition),
            regex=match.regex,
        )
        for match in told.attribute_matches
    )
    return tuple(sorted(found, key=lambda one: (one.name, one.key or "")))


def _word(index: int, words: Sequence[str]) -> str:
    known = WORDS if index >= 0 else words
    place = index if index >= 0 else ~index
    return known[place] if place < len(known) else f"(no word has the index {index})"


def _operations(told: Any) -> tuple[Operation, ...]:
    kinds = pb.HeaderOperation.Operation
    return tuple(Operation(one.name, one.value, _name(kinds, one.operation)) for one in told)


def _name(kind: Any, number: int) -> str:
    value = kind.DESCRIPTOR.values_by_number.get(number)
    return str(number) if value is None else str(value.name)
