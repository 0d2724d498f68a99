"""Which attributes of callers are used."""

import logging

import pytest

from mixer.attributes import Manifest
from mixer.engine import Admission


def test_a_rejected_attribute_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log has its name and why, and not its value."""
    admission = Admission(Manifest())
    sent = {"source.user": {"secret": "word"}, "request.path": "/"}
    with caplog.at_level(logging.WARNING):
        assert admission.admit(sent) == ({"request.path": "/"}, ["source.user"])
    assert admission.rejected == 1
    assert "'source.user' is rejected: must be STRING, not STRING_MAP" in caplog.text
    assert "secret" not in caplog.text


def test_a_flood_is_counted_and_hardly_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log gets the first ones, and later how many there were."""
    now = 0.0
    admission = Admission(Manifest(), clock=lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            admission.admit({"source.user": 5})
        assert len(caplog.records) == 5
        now = 60.0
        admission.admit({"source.user": 5})
    assert "(995 before were not logged)" in caplog.text
    assert admission.rejected == 1001
