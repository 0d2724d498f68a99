"""The decision log: who asked, which adapter and rule decided and why, and how long it took."""

from mixer.telemetry.decision_log.entry import Entry, entry_of
from mixer.telemetry.decision_log.log import DecisionLogger, Recent, Take
from mixer.telemetry.decision_log.masking import Masking
from mixer.telemetry.decision_log.sampling import Sampling
from mixer.telemetry.decision_log.subject import one_line, quoted, subject
from mixer.telemetry.decision_log.writing import Write, Writer, to_file, to_stream

__all__ = [
    "DecisionLogger",
    "Entry",
    "Masking",
    "Recent",
    "Sampling",
    "Take",
    "Write",
    "Writer",
    "entry_of",
    "one_line",
    "quoted",
    "subject",
    "to_file",
    "to_stream",
]
