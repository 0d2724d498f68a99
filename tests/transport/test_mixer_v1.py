"""What callers of Mixer are answered where the service itself fails."""

import asyncio
import logging
from collections import namedtuple
from typing import Any

import grpc
import pytest

from mixer.attributes import Manifest
from mixer.engine import Admission, Decision, Record, Verdict
from mixer.transport import mixer_v1
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import check_bytes, report_bytes

_Details = namedtuple("_Details", "method")


class Failing:
    """An engine with a defect."""

    decision_timeout = 1.0
    decision_log = None

    def __init__(self, *, allocates: bool = False) -> None:
        self.admission = Admission(Manifest())
        self._allocates = allocates
        self.told: list[object] = []

    def decide(self, request: Any) -> Decision:
        if self._allocates:
            return Decision(Verdict.ALLOW)
        raise RuntimeError("a defect")

    def allocate(self, request: Any, quota: str) -> Decision:
        raise RuntimeError("a defect")

    def recorded(self) -> None:
        return None

    def report(self, record: Record, recorded: None = None) -> None:
        path = record.attributes.get("request.path")
        if path == "/bad":
            raise RuntimeError("a defect")
        self.told.append(path)


class Context:
    """Of a call."""

    def peer(self) -> str:
        return "unix:"

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise AbortedError(code, details)


class AbortedError(Exception):
    """As gRPC ends a call."""


@pytest.mark.parametrize("allocates", [False, True])
def test_a_defect_denies(allocates: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is answered, since a status of gRPC lets requests pass in many a proxy."""
    handler = mixer_v1.handler(Failing(allocates=allocates))  # type: ignore[arg-type]
    found = handler.service(_Details("/istio.mixer.v1.Mixer/Check"))  # type: ignore[arg-type]
    assert found is not None
    request = pb.CheckRequest()
    request.quotas["rps"].amount = 1
    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(found.unary_unary(request.SerializeToString(), Context()))
    result = pb.CheckResponse.FromString(answer).precondition
    assert (result.status.code, result.status.message) == (14, "internal error")
    assert "a check failed" in caplog.text


def test_others_have_their_turn_between_quotas() -> None:
    """A check that asks for hundreds of them does not keep the loop."""

    class Granting(Failing):
        def allocate(self, request: Any, quota: str) -> Decision:
            return Decision(Verdict.ALLOW, granted=1)

    async def turns() -> int:
        answering = asyncio.ensure_future(found.unary_unary(data, Context()))
        number = 0
        while not answering.done():
            await asyncio.sleep(0)
            number += 1
        assert len(pb.CheckResponse.FromString(answering.result()).quotas) == 200
        return number

    handler = mixer_v1.handler(Granting(allocates=True))  # type: ignore[arg-type]
    found: Any = handler.service(_Details("/istio.mixer.v1.Mixer/Check"))  # type: ignore[arg-type]
    data = check_bytes({}, quotas={f"q{n}": (1, False) for n in range(200)})
    assert asyncio.run(turns()) >= 50


def test_a_defect_of_one_record(caplog: pytest.LogCaptureFixture) -> None:
    """The other records are told; the caller hears how many were not, and nothing of the defect."""
    engine = Failing()
    handler = mixer_v1.handler(engine)  # type: ignore[arg-type]
    found = handler.service(_Details("/istio.mixer.v1.Mixer/Report"))  # type: ignore[arg-type]
    assert found is not None
    data = report_bytes([{"request.path": path} for path in ("/a", "/bad", "/b", "/bad")])
    with pytest.raises(AbortedError) as caught, caplog.at_level(logging.ERROR):
        asyncio.run(found.unary_unary(data, Context()))
    told = "internal error: 2 of 4 records were not told"
    assert caught.value.args == (grpc.StatusCode.INTERNAL, told)
    assert engine.told == ["/a", "/b"]
    assert caplog.text.count("RuntimeError: a defect") == 1
