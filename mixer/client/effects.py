"""What a check has done for it by whoever can: calls, waiting, other checks meanwhile."""

from collections.abc import Generator
from dataclasses import dataclass

from mixer.client.results import CheckResult
from mixer.client.retry import Failure
from mixer.wire import mixer_v1_pb2 as pb


@dataclass(frozen=True, slots=True)
class Send:
    """Call Check, and come back with its answer or a `Failure`.

    Attributes:
        request: What to send.
        timeout: Seconds.
    """

    request: pb.CheckRequest
    timeout: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait.

    Attributes:
        seconds: How long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Start:
    """Have another exchange done meanwhile; it has one `Send` and no more.

    Attributes:
        exchange: That one.
    """

    exchange: "Exchange"


Effect = Send | Pause | Start
Reply = pb.CheckResponse | Failure | None
Exchange = Generator[Effect, Reply, CheckResult]
"""Yields what is to be done, is sent what came of a `Send`, and returns the answer."""
