"""What callers of Mixer are answered where the service itself fails."""

import asyncio
import logging
from collections import namedtuple
from typing import Any

import pytest

from mixer.attributes import Manifest
from mixer.engine import Admission, Decision, Verdict
from mixer.transport import mixer_v1
from mixer.wire import mixer_v1_pb2 as pb

_Details = namedtuple("_Details", "method")


class Failing:
    """An engine with a defect."""

    decision_timeout = 1.0

    def __init__(self, *, allocates: bool) -> None:
        self.admission = Admission(Manifest())
        self._allocates = allocates

    def decide(self, request: Any) -> Decision:
        if self._allocates:
            return Decision(Verdict.ALLOW)
        raise RuntimeError("a defect")

    def allocate(self, request: Any, quota: str) -> Decision:
        raise RuntimeError("a defect")


class Context:
    """Of a call."""

    def peer(self) -> str:
        return "unix:"


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
