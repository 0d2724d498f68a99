"""The decision log of a service: what the configuration asks for, opened."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mixer.config import DecisionLog, MixerSpec
from mixer.engine import Verdict
from mixer.engine.token_bucket import TokenBucket
from mixer.telemetry.decision_log import (
    DecisionLogger,
    Masking,
    Recent,
    Sampling,
    Take,
    Write,
    Writer,
    to_file,
    to_stream,
)

_REMEMBERED = DecisionLog.model_construct()
"""What is remembered for `mixer explain` where no decision log is configured."""


_FILE = "spec.telemetry.decisionLog.file.path"


class DecisionLogError(Exception):
    """Decisions cannot be written where they should be; the message says what to do."""


def check_log_file(spec: MixerSpec) -> None:
    """Open the file for a moment, and make it where it is not there; later losses are only told.

    Raises:
        DecisionLogError: It cannot be written.
    """
    asked = spec.telemetry.decision_log
    if asked is None or asked.file is None:
        return
    path = asked.file.path
    try:
        if not path.is_fifo():  # opening one waits for its reader
            to_file(path)([])
    except (OSError, ValueError) as error:
        raise DecisionLogError(f"{_FILE}: {path}: {_obstacle(path, error)}") from error


def _obstacle(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"its folder {path.parent} does not exist: make it, or name a file elsewhere"
    if isinstance(error, IsADirectoryError):
        return f"it is a folder: name a file in it, such as {path / 'decisions.jsonl'}"
    reason = (isinstance(error, OSError) and error.strerror) or error
    return f"{reason}: name a file that this user can write"


@contextmanager
def decision_logging(spec: MixerSpec) -> Iterator[tuple[DecisionLogger | None, Recent | None]]:
    """Open what decisions are told to; left, what waits is written.

    Gives the logger, if anybody takes what it tells, and what remembers decisions.
    """
    asked, admin = spec.telemetry.decision_log, spec.admin
    recent = Recent(admin.recent) if admin.address is not None and admin.recent else None
    with ExitStack() as stack:
        writers = [stack.enter_context(one) for one in _writers(asked)]
        takers: list[Take] = [one.take for one in writers]
        if recent is not None:
            takers.append(recent.take)
        yield (_logger(asked or _REMEMBERED, takers, writers) if takers else None), recent


def _logger(asked: DecisionLog, takers: list[Take], writers: list[Writer]) -> DecisionLogger:
    sampling = asked.sampling
    shares = {
        Verdict.ALLOW: sampling.allow,
        Verdict.DENY: sampling.deny,
        Verdict.ERROR: sampling.error,
    }
    bucket = TokenBucket(asked.max_per_second, asked.max_per_second)
    masking = Masking(asked.secrets) if asked.values else None
    return DecisionLogger(Sampling(sampling.story, shares), takers, bucket.take, masking, writers)


def _writers(asked: DecisionLog | None) -> Iterator[Writer]:
    if asked is None:
        return
    for kind, place, write in _places(asked):
        where = f"spec.telemetry.decisionLog.{kind} {place}".rstrip()
        yield Writer(where, kind, write, asked.max_pending)


def _places(asked: DecisionLog) -> Iterator[tuple[str, str, Write]]:
    if asked.stdout is not None:
        yield "stdout", "", to_stream(sys.stdout)
    if asked.file is not None:
        yield "file", str(asked.file.path), to_file(asked.file.path)
    if asked.otlp is not None:
        from mixer.transport.otlp_decisions import to_receiver

        yield "otlp", asked.otlp.endpoint, to_receiver(asked.otlp)
