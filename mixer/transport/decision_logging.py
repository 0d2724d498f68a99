"""The decision log of a service: what the configuration asks for, opened."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
        yield Writer(where, kind, write, asked.max_pending, is_tried=kind == "file")


def _places(asked: DecisionLog) -> Iterator[tuple[str, str, Write]]:
    if asked.stdout is not None:
        yield "stdout", "", to_stream(sys.stdout)
    if asked.file is not None:
        yield "file", str(asked.file.path), to_file(asked.file.path)
    if asked.otlp is not None:
        from mixer.transport.otlp_decisions import to_receiver

        yield "otlp", asked.otlp.endpoint, to_receiver(asked.otlp)
