"""Calls of a Mixer: one, or many by several threads, timed."""

import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any

import grpc
from google.protobuf.message import Message

from mixer.client.channel import Option
from mixer.wire import mixer_v1_pb2 as pb

_CHECK, _REPORT = "/istio.mixer.v1.Mixer/Check", "/istio.mixer.v1.Mixer/Report"
_CHANNEL_OPTIONS = (
    # Without its own pool, a channel would wait out the back-off of an earlier one to the server.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),  # whatever http_proxy is for: `mixc` asks localhost itself
)


@dataclass(frozen=True, slots=True)
class MixerAddress:
    """Where calls go.

    Attributes:
        target: As gRPC names it.
        credentials: Of TLS; None for plaintext.
        options: Of the channel, that belong to them.
    """

    target: str
    credentials: grpc.ChannelCredentials | None = None
    options: tuple[Option, ...] = ()

    def connect(self) -> grpc.Channel:
        """Make a channel."""
        options = (*_CHANNEL_OPTIONS, *self.options)
        if self.credentials is None:
            return grpc.insecure_channel(self.target, options)
        return grpc.secure_channel(self.target, self.credentials, options)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that was not answered.

    Attributes:
        code: The name of gRPC's status.
        details: What was said of it.
    """

    code: str
    details: str


@dataclass(slots=True)
class Tally:
    """What came of many calls.

    Attributes:
        first: The first answer.
        latencies: Seconds that each answered call took.
        statuses: How often each status of a check was answered, by its name.
        granted: What was given in all, by quota.
        refused: Answers that deny, or whose quotas give nothing.
        records: Records of reports that were taken.
        failures: The first failure of each gRPC status, and how many there were.
    """

    first: Any = None
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: Counter[str] = field(default_factory=Counter)
    granted: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    records: int = 0
    failures: dict[str, tuple[Failure, int]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many calls were not answered."""
        return sum(count for _, count in self.failures.values())

    def fail(self, failure: Failure, count: int = 1) -> None:
        """Count failures."""
        first, before = self.failures.get(failure.code, (failure, 0))
        self.failures[failure.code] = first, before + count

    def add(self, other: "Tally") -> None:
        """Count what another worker saw."""
        self.first = other.first if self.first is None else self.first
        self.latencies.extend(other.latencies)
        self.statuses += other.statuses
        # `+=` would leave out what is not above 0.
        self.granted.update(other.granted)
        self.refused += other.refused
        self.records += other.records
        for failure, count in other.failures.values():
            self.fail(failure, count)


Observe = Callable[[Any, Any, Tally], None]
"""Counts what came of a request: gets it and its answer."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How calls follow one another.

    Attributes:
        timeout: Seconds to wait for each answer.
        rate: Calls a second of each worker; None for no limit.
    """

    timeout: float
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """What was done.

    Attributes:
        tally: What came of it.
        seconds: From the first call to the last answer.
        interrupted: Whether Ctrl-C ended it early.
    """

    tally: Tally
    seconds: float
    interrupted: bool


def check(
    server: MixerAddress, workers: Sequence[Iterator[Message]], pace: Pace, observe: Observe
) -> Calls:
    """Send the requests of each worker to ``Check``; see `_call`."""
    return _call(server, _CHECK, pb.CheckResponse.FromString, workers, pace, observe)


def report(server: MixerAddress, workers: Sequence[Iterator[Message]], pace: Pace) -> Calls:
    """Send the requests of each worker to ``Report``; see `_call`."""
    return _call(server, _REPORT, pb.ReportResponse.FromString, workers, pace, _count_records)


def _count_records(request: Any, _answer: Any, tally: Tally) -> None:
    tally.records += len(request.attributes)


def _call(
    server: MixerAddress,
    method: str,
    decode: Callable[[bytes], Message],
    workers: Sequence[Iterator[Message]],
    pace: Pace,
    observe: Observe,
) -> Calls:
    """Call a method: all workers at the same time over one connection."""
    stop, began = threading.Event(), time.perf_counter()
    with (
        ThreadPoolExecutor(len(workers)) as threads,
        server.connect() as channel,
    ):
        call = channel.unary_unary(method, methodcaller("SerializeToString"), decode)
        works = [
            threads.submit(_Worker(call, pace, stop, observe).work, requests)
            for requests in workers
        ]
        interrupted = _interrupted(works)
        seconds = time.perf_counter() - began
        # The end of the channel ends the calls that are under way.
        stop.set()
    total = Tally()
    for work in works:
        total.add(work.result())
    return Calls(total, seconds, interrupted)


def _interrupted(works: "list[Future[Tally]]") -> bool:
    try:
        for work in works:
            work.exception()
    except KeyboardInterrupt:
        return True
    return False


class _Worker:
    def __init__(
        self, call: Callable[..., Any], pace: Pace, stop: threading.Event, observe: Observe
    ) -> None:
        self._call = call
        self._pace = pace
        self._stop = stop
        self._observe = observe
        self._tally = Tally()

    def work(self, requests: Iterator[Message]) -> Tally:
        interval = 1 / self._pace.rate if self._pace.rate else 0.0
        due = time.perf_counter()
        for request in requests:
            if self._stop.wait(due - time.perf_counter()) if interval else self._stop.is_set():
                break
            due += interval
            self._send(request)
        return self._tally

    def _send(self, request: Message) -> None:
        began = time.perf_counter()
        try:
            answer = self._call(request, timeout=self._pace.timeout)
        except grpc.RpcError as error:
            if not self._stop.is_set():
                self._tally.fail(_failure(error))
            return
        except ValueError:
            # The channel was closed a moment ago.
            if self._stop.is_set():
                return
            raise
        self._tally.latencies.append(time.perf_counter() - began)
        if self._tally.first is None:
            self._tally.first = answer
        self._observe(request, answer, self._tally)


def _failure(error: Any) -> Failure:
    return Failure(error.code().name, error.details() or "")
