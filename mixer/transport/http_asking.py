"""From a protocol's questions to the engine's decisions, for one call by HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from functools import partial

from mixer.api.http import Asking, HttpAnswer
from mixer.engine import Decision, Engine, PendingDecision, Request, Verdict
from mixer.transport import decision_log
from mixer.transport.http_notices import About, Notices
from mixer.transport.waiting import settled

_log = logging.getLogger(__name__)

Gone = Callable[[], Awaitable[None]]
"""Returns once the caller is gone."""

Readmit = Callable[[], None]
"""Asked before each question but the first; raises where it is not taken on."""


class CallerGoneError(Exception):
    """Nobody waits for the answer."""


async def ask(
    engine: Engine, asking: Asking, gone: Gone, readmit: Readmit, notices: Notices
) -> HttpAnswer:
    """Answer the questions of a protocol until it has its answer.

    Raises:
        CallerGoneError: The caller is gone while a decision is not made.
        Exception: Whatever `readmit` raises.
    """
    with closing(asking):
        try:
            request = next(asking)
        except StopIteration as end:
            return _answer(end, notices)
        while True:
            decision = engine.decide(request)
            if isinstance(decision, PendingDecision):
                decision = await _wait(engine, request, decision, gone)
            try:
                following = asking.send(decision)
            except StopIteration as end:
                answer = _answer(end, notices)
                untold = None if answer.notice else notices
                _log_sent(engine, request, answer.decision or decision, untold)
                return answer
            _log_sent(engine, request, decision, notices)
            request = following
            readmit()
            await asyncio.sleep(0)  # or a call that asks many times holds up all others


def _answer(end: StopIteration, notices: Notices) -> HttpAnswer:
    answer: HttpAnswer = end.value
    if answer.notice:
        notices.tell(About.MALFORMED, f"a call is malformed: {answer.notice}")
    return answer


async def _wait(engine: Engine, request: Request, pending: PendingDecision, gone: Gone) -> Decision:
    """Wait for a decision as long as the caller does."""
    deciding = asyncio.ensure_future(
        settled(pending, engine.decision_timeout, partial(_log_sent, engine, request))
    )
    leaving = asyncio.ensure_future(gone())
    try:
        await asyncio.wait((deciding, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not deciding.done():
            raise CallerGoneError
        return deciding.result()
    finally:
        for waiting in (deciding, leaving):
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


def _log_sent(
    engine: Engine, request: Request, decision: Decision, notices: Notices | None = None
) -> None:
    if notices is not None and decision.verdict is Verdict.ERROR:
        notices.tell(About.ERROR, decision_log.described(request, decision))
    told = partial(decision_log.Told, request, decision)
    decision_log.log_decision(engine, "http", decision, told)
