"""Load shedding: refuse what cannot be served in time, before any work is done for it.

Without I/O, and for one thread. Three bounds, each for itself: how much is in progress, how long
callers wait, and how much comes in a second. Checks and the records of reports are counted apart,
so that neither takes the other's place.
"""

from mixer.shedding.bounds import Bounds, RateBound, WaitBound
from mixer.shedding.gate import Gate, Kind, Lane, Reason, Refusal, Ticket
from mixer.shedding.shedder import RETRY_S, Shedder
from mixer.shedding.wait_control import WaitControl

__all__ = [
    "RETRY_S",
    "Bounds",
    "Gate",
    "Kind",
    "Lane",
    "RateBound",
    "Reason",
    "Refusal",
    "Shedder",
    "Ticket",
    "WaitBound",
    "WaitControl",
]
