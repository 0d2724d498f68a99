"""The file of the decision log, before anything is written to it."""

import os
from pathlib import Path

import pytest

from mixer.config import MixerSpec, loads
from mixer.transport.decision_logging import DecisionLogError, check_log_file

FIELD = "spec.telemetry.decisionLog.file.path"
CONFIGURATION = """
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: mixer}
spec: {telemetry: {decisionLog: {file: {path: "%s"}}}}
"""


def spec(path: Path) -> MixerSpec:
    return loads(CONFIGURATION % path, base=Path("/")).mixer


def test_a_file_that_can_be_written(tmp_path: Path) -> None:
    """It is made for this user alone, and what it has stays; a pipe waits for nobody."""
    path, pipe = tmp_path / "a", tmp_path / "pipe"
    check_log_file(spec(path))
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("kept")
    check_log_file(spec(path))
    assert path.read_text() == "kept"
    os.mkfifo(pipe)
    check_log_file(spec(pipe))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/a", "its folder {}/no does not exist: make it, or name a file elsewhere"),
        (".", "it is a folder: name a file in it, such as {}/decisions.jsonl"),
        ("file/a", "Not a directory: name a file that this user can write"),
    ],
)
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str, reason: str) -> None:
    """What, where, why, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(DecisionLogError) as caught:
        check_log_file(spec(tmp_path / name))
    assert str(caught.value) == f"{FIELD}: {tmp_path / name}: {reason.format(tmp_path)}"
