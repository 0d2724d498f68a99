"""mixer.admin.v1.Admin: what whoever runs the service can ask it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from mixer.api import ext_authz
from mixer.attributes import AttributeBag, FindCaller, Value
from mixer.engine import Decision, Engine, Request, Verdict
from mixer.wire import admin_pb2 as pb

SERVICE = "mixer.admin.v1.Admin"
EXPLAIN = "Explain"

OPERATION = "explain"
"""What ``mixer.operation`` is where a request is decided to be explained."""


Entry = Mapping[str, Any]
"""A decision as in the decision log."""


class MalformedRequestError(ValueError):
    """A message that cannot be read; the message says why."""


class ById(NamedTuple):
    """Decisions that were made.

    Attributes:
        id: Their ``x-request-id``, or their trace id.
    """

    id: str


class NotRun(NamedTuple):
    """An adapter that did not run.

    Attributes:
        adapter: Its name.
        reason: Why, in few words.
    """

    adapter: str
    reason: str


class _Explained(AttributeBag):
    """The attributes of a request that is only to be explained."""

    __slots__ = ("_bag",)

    def __init__(self, bag: AttributeBag) -> None:
        self._bag = bag

    def get(self, name: str) -> Value | None:
        """See `AttributeBag.get`."""
        return OPERATION if name == "mixer.operation" else self._bag.get(name)

    def knows(self, name: str) -> bool:
        """See `AttributeBag.knows`."""
        return name == "mixer.operation" or self._bag.knows(name)

    def names(self) -> set[str]:
        """See `AttributeBag.names`."""
        return self._bag.names() | {"mixer.operation"}


def decode(data: bytes, caller: FindCaller) -> Request | ById:
    """Read an ExplainRequest.

    Args:
        data: The message.
        caller: Tells who sent it.

    Raises:
        MalformedRequestError: It is none, or is about no HTTP request.
    """
    try:
        asked = pb.ExplainRequest.FromString(data)
    except DecodeError as error:
        raise MalformedRequestError(f"not an ExplainRequest: {error}") from error
    if asked.WhichOneof("asked") != "check_request":
        if not asked.id:
            raise MalformedRequestError("neither a request nor an id")
        return ById(asked.id)
    try:
        request = ext_authz.decode(asked.check_request, caller)
    except ext_authz.MalformedRequestError as error:
        raise MalformedRequestError(str(error)) from error
    if not isinstance(request, Request):
        raise MalformedRequestError("it is about a connection: only HTTP requests are explained")
    request.attributes = _Explained(request.attributes)
    return request


def encode_found(entries: Sequence[Entry]) -> bytes:
    """Write decisions that were made."""
    return _bytes(pb.ExplainResponse(decisions=map(json.dumps, entries)))


def encode_explained(entry: Entry, decision: Decision, not_run: Sequence[NotRun]) -> bytes:
    """Write a decision that was made to be explained."""
    return _bytes(
        pb.ExplainResponse(
            decisions=[json.dumps(entry)],
            check_response=ext_authz.encode(decision),
            not_run=[pb.NotRun(adapter=one.adapter, reason=one.reason) for one in not_run],
        )
    )


def _bytes(message: pb.ExplainResponse) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def not_run(engine: Engine, decision: Decision) -> list[NotRun]:
    """The adapters through which the request did not go, and why."""
    names = [slot.adapter.name for slot in engine.selector.slots]
    ends = len(names)
    if decision.verdict is not Verdict.ALLOW and decision.adapter in names:
        ends = names.index(decision.adapter)
    return [
        NotRun(name, "not reached" if at > ends else "not for this request")
        for at, name in enumerate(names)
        if name not in decision.adapters and name != decision.adapter
    ]
