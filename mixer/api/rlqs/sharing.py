"""One bucket, and those who share its limit."""

from collections.abc import Iterator, Mapping

from mixer.api.rlqs.actions import AllowAll, Assignment, DenyAll, Share
from mixer.api.rlqs.reports import Usage
from mixer.api.rlqs.shares import divide
from mixer.api.rlqs.standing import Rule, Standing
from mixer.api.rlqs.stream import Stream

_WORTHWHILE = 10
"""Part of its share that one must gain: each new token bucket is full, so that moving shares about
for little would let more pass than there is."""


class Member:
    """One stream that asked for a bucket.

    Attributes:
        want: Requests in a window that it has, refused ones too; None where that is not known.
        is_short: Whether it refused requests since the last division.
        share: What it has of the limit.
        active_at: When it last had requests; seconds.
    """

    __slots__ = ("active_at", "is_short", "share", "want")

    def __init__(self, now: float) -> None:
        self.want: int | None = None
        self.is_short = False
        self.share = 0
        self.active_at = now


class SharedBucket:
    """What is known of a bucket, and its members.

    Attributes:
        standing: None until somebody told.
        members: By stream, in the order in which they came.
    """

    __slots__ = ("members", "standing")

    def __init__(self) -> None:
        self.standing: Standing | None = None
        self.members: dict[Stream, Member] = {}

    def note(self, member: Member, usage: Usage, now: float) -> int:
        """Note a report of a member; how much of it is to be taken of the quota.

        What passed in more than a window is not taken: the window of the quota has none of most of
        it. There the shares alone bound what passes.
        """
        if usage.allowed or usage.denied:
            member.active_at = now
        window = self.standing.window if self.standing is not None else 0
        if window:
            wanted = usage.allowed + usage.denied
            member.want = wanted * window // usage.elapsed if usage.elapsed else None
        member.is_short = member.is_short or usage.denied > 0
        return usage.allowed if not window or usage.elapsed <= window else 0

    def learn(self, standing: Standing) -> None:
        """Take note of how it stands, and divide anew where that has changed."""
        known, self.standing = self.standing, standing
        if known is None or _terms(known) != _terms(standing):
            self.divide()
        elif standing.rule is Rule.SHARED:
            self._rebalance()

    def divide(self) -> None:
        """Divide the limit among the members."""
        self._adopt(self._division())

    def _rebalance(self) -> None:
        """Divide anew if that helps one that has too little."""
        short = [member for member in self.members.values() if member.is_short]
        if not short:
            return
        division = self._division()
        if any(division[m] - m.share > m.share // _WORTHWHILE for m in short):
            self._adopt(division)

    def _division(self) -> Mapping[Member, int]:
        members = list(self.members.values())
        limit = 0 if self.standing is None else self.standing.limit
        return dict(zip(members, divide(limit, [m.want for m in members]), strict=True))

    def _adopt(self, division: Mapping[Member, int]) -> None:
        for member, share in division.items():
            member.share = share
            member.is_short = False

    def assignments(self) -> Iterator[tuple[Stream, Assignment]]:
        """What each member is assigned; nothing before anybody told how the bucket stands."""
        if self.standing is not None:
            for stream, member in self.members.items():
                yield stream, self._assignment(self.standing, member)

    def _assignment(self, standing: Standing, member: Member) -> Assignment:
        if standing.rule is Rule.UNLIMITED:
            return AllowAll()
        if standing.rule is Rule.SHARED and member.share > 0:
            return Share(member.share, standing.window)
        return DenyAll()


def _terms(standing: Standing) -> tuple[Rule, int, int]:
    return standing.rule, standing.limit, standing.window
