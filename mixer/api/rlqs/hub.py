"""All streams of a service: who asked for which bucket, and what each is to be told.

A state machine without I/O and with somebody else's clock. Reports go in and give questions for the
engine; their answers go in and put actions into the outboxes of streams, of which each keeps the
last one for a bucket, so that a proxy that does not read costs no more than one that does.
"""

from collections.abc import Callable, Iterator

from mixer.api.rlqs.actions import Abandon, Action, Assignment, DenyAll
from mixer.api.rlqs.questions import Question
from mixer.api.rlqs.reports import Bucket, Usage
from mixer.api.rlqs.sharing import Member, SharedBucket
from mixer.api.rlqs.standing import Standing
from mixer.api.rlqs.stream import Stream
from mixer.attributes import Caller
from mixer.config import RateLimitQuota


class TooManyStreamsError(Exception):
    """There is no room for another stream."""


class Hub:
    """The streams of one service.

    Args:
        settings: Bounds and times.
        clock: Seconds, monotonic.
    """

    def __init__(self, settings: RateLimitQuota, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._streams: dict[Stream, None] = {}
        self._buckets: dict[Bucket, SharedBucket] = {}
        self._asks: dict[Bucket, float] = {}
        self._subscriptions = 0

    @property
    def usage(self) -> tuple[int, int, int]:
        """Streams, buckets, and buckets of all streams together."""
        return len(self._streams), len(self._buckets), self._subscriptions

    def open(self, caller: Caller, on_change: Callable[[], None]) -> Stream:
        """Begin a stream.

        Raises:
            TooManyStreamsError: There are as many as there may be.
        """
        most = self._settings.max_streams
        if len(self._streams) >= most:
            raise TooManyStreamsError(f"there are {most} streams, as many as there may be")
        stream = Stream(caller, on_change, self._clock())
        self._streams[stream] = None
        return stream

    def close(self, stream: Stream) -> None:
        """End a stream: what it had of its limits goes to the others."""
        if stream in self._streams:
            del self._streams[stream]
            for bucket in list(stream.assigned):
                self._leave(stream, bucket)
            stream.outbox.clear()

    def hear(self, stream: Stream) -> None:
        """Note that a stream sent something."""
        stream.heard_at = self._clock()

    def report(self, stream: Stream, usage: Usage) -> Question | None:
        """Take a usage report; the first one of a bucket asks for it.

        Returns:
            What the engine is to be asked; None of a bucket for which there is no room, and all
            of whose requests are to be denied.
        """
        if stream not in self._streams:
            return None
        bucket = usage.bucket
        shared = self._buckets.get(bucket)
        known = shared is not None and stream in shared.members
        if not known and (bucket.is_too_large or not self._has_room()):
            self._put(stream, bucket, DenyAll())
            return None
        now = self._clock()
        if shared is None:
            shared = self._buckets[bucket] = SharedBucket()
        if not known:
            self._join(stream, bucket, shared, now)
        amount = shared.note(shared.members[stream], usage, now)
        return Question(bucket, amount, stream.caller)

    def _has_room(self) -> bool:
        return self._subscriptions < self._settings.max_buckets

    def _join(self, stream: Stream, bucket: Bucket, shared: SharedBucket, now: float) -> None:
        shared.members[stream] = Member(now)
        stream.assigned[bucket] = None, now
        self._subscriptions += 1
        shared.divide()
        self._assign(bucket, shared)

    def _leave(self, stream: Stream, bucket: Bucket) -> None:
        shared = self._buckets[bucket]
        del shared.members[stream], stream.assigned[bucket]
        self._subscriptions -= 1
        if shared.members:
            shared.divide()
            self._assign(bucket, shared)
        else:
            del self._buckets[bucket]
            self._asks.pop(bucket, None)

    def learn(self, bucket: Bucket, standing: Standing) -> None:
        """Take the answer to a question."""
        shared = self._buckets.get(bucket)
        if shared is None:
            return
        self._asks.pop(bucket, None)
        if standing.ask_again is not None:
            self._asks[bucket] = self._clock() + standing.ask_again
        shared.learn(standing)
        self._assign(bucket, shared)

    def _assign(self, bucket: Bucket, shared: SharedBucket) -> None:
        """Tell whoever has been told something else."""
        for stream, assignment in shared.assignments():
            if stream.assigned[bucket][0] != assignment:
                self._tell(stream, bucket, assignment)

    def _tell(self, stream: Stream, bucket: Bucket, assignment: Assignment) -> None:
        stream.assigned.pop(bucket)  # so that the one that was told last comes last
        stream.assigned[bucket] = assignment, self._clock()
        self._put(stream, bucket, assignment)

    def _put(self, stream: Stream, bucket: Bucket, action: Action) -> None:
        stream.outbox.pop(bucket, None)
        stream.outbox[bucket] = action
        stream.on_change()

    def take(self, stream: Stream, most: int) -> list[tuple[Bucket, Action]]:
        """What a stream is to be told now, at most so many actions; they are out of the box."""
        buckets = [bucket for bucket, _ in zip(stream.outbox, range(most), strict=False)]
        return [(bucket, stream.outbox.pop(bucket)) for bucket in buckets]

    def tick(self) -> list[Question]:
        """Do what is due: renew assignments, forget what is idle, and ask anew."""
        now = self._clock()
        for stream in list(self._streams):
            if now - stream.heard_at >= self._settings.abandon_after:
                stream.end()
            self._renew(stream, now)
        due = [bucket for bucket, at in self._asks.items() if at <= now]
        return [self._ask(bucket) for bucket in due]

    def _renew(self, stream: Stream, now: float) -> None:
        renewed_after = self._settings.assignment_time_to_live / 2
        for bucket, assignment, at in list(self._old(stream, now)):
            member = self._buckets[bucket].members[stream]
            if now - member.active_at >= self._settings.abandon_after:
                self._leave(stream, bucket)
                self._put(stream, bucket, Abandon())
            elif assignment is not None and now - at >= renewed_after:
                self._tell(stream, bucket, assignment)

    def _old(self, stream: Stream, now: float) -> Iterator[tuple[Bucket, Assignment | None, float]]:
        """Those that may have to be renewed, or abandoned."""
        settings = self._settings
        age = min(settings.assignment_time_to_live / 2, settings.abandon_after)
        for bucket, (assignment, at) in stream.assigned.items():
            if now - at < age:
                return
            yield bucket, assignment, at

    def _ask(self, bucket: Bucket) -> Question:
        del self._asks[bucket]
        stream = next(iter(self._buckets[bucket].members))
        return Question(bucket, 0, stream.caller)
