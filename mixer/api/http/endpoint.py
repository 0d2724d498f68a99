"""Where a protocol is spoken, and how it asks the engine."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from mixer.api.http.answer import HttpAnswer
from mixer.api.http.call import HttpCall
from mixer.engine import Decision, Request

Asking = Generator[Request, Decision, HttpAnswer]
"""The work on one call: yields each request to decide about, is sent the decision, and returns
the answer. It is closed where the caller is gone.
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of an HTTP listener.

    Attributes:
        path: In ASCII, beginning with ``/`` and not ending with it; without parameters.
        answer: Begins the work on a call whose path this is.
        methods: That it is for, in upper case; the others get 405. None is for all.
        takes_below: Whether it is for every path below, too, and for every byte that may follow.
        speaks_for_clients: Whether the caller tells about somebody else's request, so that only a
            trusted caller may use it; the others get 403.
    """

    path: str
    answer: Callable[[HttpCall], Asking]
    methods: frozenset[str] | None = None
    takes_below: bool = False
    speaks_for_clients: bool = False


def at_once(answer: Callable[[HttpCall], HttpAnswer]) -> Callable[[HttpCall], Asking]:
    """An endpoint's answer that needs no decision."""

    def asking(call: HttpCall) -> Asking:
        yield from ()
        return answer(call)

    return asking
