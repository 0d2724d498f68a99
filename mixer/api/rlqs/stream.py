"""One proxy's stream: what it was told, and what it is to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.api.rlqs.actions import Action, Assignment
    from mixer.api.rlqs.reports import Bucket
    from mixer.attributes import Caller


class Stream:
    """One proxy.

    Args:
        caller: Who it is.
        on_change: Called when there is something in the outbox, or it is over.
        now: Seconds.

    Attributes:
        caller: The same.
        on_change: The same.
        outbox: What it is to be told, by bucket.
        assigned: What it was told of each bucket that it asked for, None before anything was, and
            when; the earliest first.
        heard_at: When it last sent anything; seconds.
        is_over: Whether it is to end, because it has not been heard of for too long.
    """

    __slots__ = ("assigned", "caller", "heard_at", "is_over", "on_change", "outbox")

    def __init__(self, caller: Caller, on_change: Callable[[], None], now: float) -> None:
        self.caller = caller
        self.on_change = on_change
        self.heard_at = now
        self.is_over = False
        self.outbox: dict[Bucket, Action] = {}
        self.assigned: dict[Bucket, tuple[Assignment | None, float]] = {}

    def end(self) -> None:
        """Have it end."""
        self.is_over = True
        self.on_change()
