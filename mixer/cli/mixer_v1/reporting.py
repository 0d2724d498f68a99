"""What ``mixer report`` does."""

from mixer.cli.mixer_v1 import calls
from mixer.cli.mixer_v1.conversation import Conversation, usable
from mixer.cli.mixer_v1.options import Asking
from mixer.cli.mixer_v1.requests import report_requests


def run_report(ask: Asking, batch: int) -> None:
    """Report, print, and end the command."""
    with usable("mixer report"):
        conversation = Conversation.of("mixer report", ask)
    workers = [
        report_requests(conversation.subject, ask.repeat, batch) for _ in range(ask.concurrency)
    ]
    done = calls.report(conversation.server, workers, conversation.pace)
    if ask.json_output:
        conversation.print_json(done, None if done.tally.first is None else {})
    else:
        conversation.print_tables(done, ())
    conversation.end(done)
