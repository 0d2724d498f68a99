"""Decisions as log records."""

from mixer.telemetry.decision_log import Masking, entry_of
from mixer.transport.otlp_decisions import record_of
from tests.telemetry.test_decision_log import CHANGES, asked, told


def test_a_record_tells_what_an_entry_tells() -> None:
    """What adapters saw, and who had changed it, is in the attributes as it is in the JSON."""
    decision = told()
    assert decision.story is not None
    decision.story.reads["auth"] = CHANGES
    entry = entry_of("x", asked(), decision, masking=Masking())
    attributes = record_of(entry).attributes
    assert attributes is not None
    assert attributes["mixer.adapters"] == entry["adapters"]
    assert entry["adapters"][0]["changed_by"]
