"""Whom the stop of a service waits for."""

import asyncio
import logging

import pytest

from mixer.telemetry import Calls
from mixer.transport import farewell


async def test_calls_in_progress(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are waited for, and told once, by method; those that are over are not."""
    monkeypatch.setattr(farewell, "_LOOK_S", 0.001)
    caplog.set_level(logging.INFO)
    calls = Calls()
    calls.of("a.A/One").in_progress = 2
    calls.of("a.A/Two").in_progress = 0
    waiting = asyncio.ensure_future(farewell.until_no_calls(calls))
    async with asyncio.timeout(30):
        while not caplog.records:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        calls.of("a.A/One").in_progress = 0
        await waiting
    assert caplog.messages == ["stopping: waiting for calls in progress: 2 of a.A/One"]
