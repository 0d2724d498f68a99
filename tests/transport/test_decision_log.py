"""What ``mixer serve --verbose`` tells about a decision."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from mixer.config import Configuration, MixerSpec
from mixer.engine import Engine
from mixer.transport.authorization import handler
from tests.e2e.calls import check_request

_CHECK = SimpleNamespace(method="/envoy.service.auth.v3.Authorization/Check")


async def test_a_decision_without_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Its line ends with who decided."""
    caplog.set_level(logging.DEBUG, logger="mixer.transport.authorization")
    with Engine(Configuration(MixerSpec(), (), (), ())) as engine:
        service: Any = handler(engine)
        await service.service(_CHECK).unary_unary(check_request("/a"), None)
    assert caplog.messages[-1] == "GET '/a': allow by no adapter"
