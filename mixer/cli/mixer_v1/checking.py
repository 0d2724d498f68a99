"""What ``mixer check`` and ``mixer quota`` do."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixer.cli.mixer_v1 import calls
from mixer.cli.mixer_v1.answer import CheckAnswer, read_check
from mixer.cli.mixer_v1.attributes import InputError, parse_quotas
from mixer.cli.mixer_v1.calls import Tally
from mixer.cli.mixer_v1.conversation import Conversation, usable
from mixer.cli.mixer_v1.options import Asking
from mixer.cli.mixer_v1.requests import check_request
from mixer.wire import mixer_v1_pb2 as pb


@dataclass(frozen=True, slots=True)
class Check:
    """The options of a check.

    Attributes:
        command: That was given.
        quotas: As given.
        best_effort: Whether less is welcome.
        deduplication_id: Of all calls; None for one for each.
        quotas_first: Whether it is about quotas only.
    """

    command: str
    quotas: tuple[str, ...]
    best_effort: bool
    deduplication_id: str | None
    quotas_first: bool = False


def run_check(ask: Asking, check: Check) -> None:
    """Ask, print, and end the command."""
    with usable(check.command):
        conversation = Conversation.of(check.command, ask)
        asked = parse_quotas(check.quotas)
        if check.quotas_first and not asked:
            raise InputError("--quotas: name a quota, such as -q requestcount=1")
        request = check_request(conversation.subject, asked, best_effort=check.best_effort)
    ids = _Ids(check.deduplication_id)
    workers = [ids.requests(request, worker, ask.repeat) for worker in range(ask.concurrency)]
    done = calls.check(conversation.server, workers, conversation.pace, _observer(asked))
    first = done.tally.first
    answer = None if first is None else read_check(first, asked)
    if ask.json_output:
        conversation.print_json(done, None if answer is None else answer.as_json())
    else:
        _print(conversation, done, answer, quotas_first=check.quotas_first)
    conversation.end(done)


def _observer(asked: Mapping[str, int]) -> calls.Observe:
    def observe(_request: Any, response: pb.CheckResponse, tally: Tally) -> None:
        answer = read_check(response, asked)
        tally.statuses[answer.status.name] += 1
        tally.refused += answer.refused
        for name, quota in answer.quotas.items():
            tally.granted[name] += quota.granted or 0

    return observe


class _Ids:
    """Gives calls their deduplication ids."""

    def __init__(self, given: str | None) -> None:
        self._given = given
        self._salt = secrets.token_hex(8)

    def requests(
        self, request: pb.CheckRequest, worker: int, repeat: int
    ) -> Iterator[pb.CheckRequest]:
        own = pb.CheckRequest()
        own.CopyFrom(request)
        for number in range(repeat):
            given = self._given
            own.deduplication_id = f"{self._salt}-{worker}-{number}" if given is None else given
            yield own


def _print(
    conversation: Conversation,
    done: calls.Calls,
    answer: CheckAnswer | None,
    *,
    quotas_first: bool,
) -> None:
    from mixer.cli.mixer_v1.tables import answer_tables, quota_table

    tables = []
    if answer is not None and conversation.shows_answer:
        if quotas_first and not answer.status.code:
            tables = [quota_table(answer)]
        else:
            tables = list(answer_tables(answer))
    conversation.print_tables(done, tables)
