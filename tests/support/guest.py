"""A host with the probe in it: one call says what the guest does, and what came of it."""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mixer.attributes import HTTP_RESOLVERS, AttributeBag, HeaderMap, Pair, PairSource
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    LogLevel,
    ManualScheduler,
    Outcome,
    PluginSettings,
    ReadSet,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
)
from mixer.testing.callouts import FakeCallouts
from mixer.vm import Linker, TrapError, VmLimits
from tests.support import probe
from tests.support.compile import linker, with_every_call
from tests.support.probe import Phase


class _Marker:
    """Where the host writes something; stands for its pointers in a list of arguments."""

    def __init__(self, pointers: int) -> None:
        self.pointers = pointers


BYTES = _Marker(2)
"""Stands for the two pointers to which a host call returns the address and size of bytes."""

WORD = _Marker(1)
"""Stands for the pointer to which a host call returns one number."""

OUTSIDE = 0x7FFF_0000
"""An address far outside the probe's memory."""

UNTOUCHED = 0xAAAA_AAAA_AAAA_AAAA
"""What lies where a result should be, until the host writes it."""


@dataclass(frozen=True)
class Call:
    """One host call of the script.

    Attributes:
        name: Of the host function.
        args: Numbers; bytes, which become an address and a size; BYTES and WORD.
        phase: Where to make it, or None for the phase that the test drives.
    """

    name: str
    args: tuple[Any, ...]
    phase: Phase | None = None


def call(name: str, *args: Any, phase: Phase | None = None) -> Call:
    """Name one host call."""
    return Call(name, args, phase)


@dataclass(frozen=True)
class Answer:
    """What came of one call.

    Attributes:
        status: Returned by the host; None if the call was not made.
        data: The bytes or the number that it wrote, None where it wrote nothing.
    """

    status: int | None
    data: Any = None


OK = 0


@dataclass
class Source:
    """What the attributes of a test's request follow from."""

    headers: HeaderMap
    more: dict[str, Any] = field(default_factory=dict)


def bag(headers: HeaderMap, attributes: dict[str, Any] | None = None) -> AttributeBag:
    """The attributes of the headers, and others."""
    source = Source(headers, attributes or {})
    own = {name: (lambda s, n=name: s.more[n]) for name in source.more}
    return AttributeBag({**HTTP_RESOLVERS, **own}, source)


def http_stream(
    headers: Sequence[Pair] = (), body: bytes = b"", attributes: dict[str, Any] | None = None
) -> HttpStream:
    """A request."""
    map_ = HeaderMap(PairSource(list(headers)))
    return HttpStream(HttpMessage(map_, body), bag(map_, attributes))


class Guest:
    """A VM that runs the probe, with one plugin.

    Args:
        abi: The ABI version of the probe, as in the name of its marker.
        initialize: Calls to make in the module's own start; only numbers as arguments.
        script: Calls to make while the plugin starts.
        services: See `mixer.proxywasm.WasmVm`, as for ``vm_options``.
        settings: Of the plugin.
        using: A linker with other functions than all.
    """

    def __init__(
        self,
        abi: str = "0_2_1",
        *,
        initialize: Sequence[Call] = (),
        script: Sequence[Call] = (),
        settings: PluginSettings | None = None,
        services: dict[str, Any] | None = None,
        limits: VmLimits | None = None,
        allocator: str = "malloc",
        start: bool = True,
        using: Linker | None = None,
        **vm_options: Any,
    ) -> None:
        self.logs: list[tuple[LogLevel, str]] = []
        self.failures: list[TrapError] = []
        self.time = ManualScheduler()
        self.callouts = FakeCallouts()
        self._random: Callable[[int], bytes] = lambda size: _script(initialize).ljust(size, b"\0")
        self.linker = using or linker()  # it must outlive the VM
        self.vm = WasmVm(
            with_every_call(probe.probe_text(abi, allocator=allocator)),
            self.linker,
            limits or VmLimits(cpu=5.0),
            start_cpu=5.0,
            services=Services(
                **{
                    "log": lambda level, line: self.logs.append((level, line)),
                    "log_level": LogLevel.TRACE,
                    "scheduler": self.time,
                    # A callback takes no time, however busy the machine is: nothing rests for it.
                    "monotonic_clock": lambda: round(self.time.now * 1e9),
                    "callouts": self.callouts,
                    "failed": self.failures.append,
                    **(services or {}),
                    "random": self._random_bytes,
                }
            ),
            **vm_options,
        )
        self.memory = self.vm.instance.memory
        self.settings = settings or PluginSettings("probe")
        self._random = (services or {}).get("random", os.urandom)
        self.script(script, Phase.CONFIGURE)
        self.root: RootContext | None = None
        if start:
            self.start()

    def _random_bytes(self, size: int) -> bytes:
        return self._random(size)

    def start(self) -> RootContext:
        """Start the plugin."""
        self.root = self.vm.start_plugin(self.settings)
        self.vm.started()
        return self.root

    def stream(
        self,
        headers: Sequence[Pair] = (),
        body: bytes = b"",
        attributes: dict[str, Any] | None = None,
        reads: ReadSet | None = None,
    ) -> StreamContext:
        """Open a stream."""
        assert self.root is not None
        return StreamContext(self.root, http_stream(headers, body, attributes), reads)

    def script(self, calls: Sequence[Call], phase: Phase) -> None:
        """Write the calls that the guest will make."""
        self._reads: list[tuple[_Marker, int] | None] = []
        self._free = probe.DATA
        self.memory.write_u32(probe.HEAP, probe.HEAP_START)
        resolved = [
            Call(
                one.name,
                tuple(self._arguments(one.args)),
                phase if one.phase is None else one.phase,
            )
            for one in calls
        ]
        self.memory.write(probe.SCRIPT, _script(resolved))

    @staticmethod
    def _entry(index: int) -> int:
        return probe.SCRIPT + 16 + index * probe.ENTRY_BYTES

    def put(self, data: bytes) -> int:
        """Place bytes in the guest's memory, and tell their address."""
        at, self._free = self._free, self._free + len(data) + -len(data) % 8
        self.memory.write(at, data)
        return at

    def _arguments(self, args: Sequence[Any]) -> list[int]:
        numbers: list[int] = []
        result = None
        for argument in args:
            if isinstance(argument, bytes):
                numbers += [self.put(argument), len(argument)]
            elif isinstance(argument, _Marker):
                at = self.put(UNTOUCHED.to_bytes(8, "little") * argument.pointers)
                result = (argument, at) if result is None else result
                numbers += [at + 8 * i for i in range(argument.pointers)]
            else:
                numbers.append(argument)
        self._reads.append(result)
        return numbers

    def answers(self) -> list[Answer]:
        """What came of the calls."""
        return [self._answer(i, result) for i, result in enumerate(self._reads)]

    def _answer(self, index: int, result: tuple[_Marker, int] | None) -> Answer:
        status: int | None = self._u32(self._entry(index) + probe.RESULT)
        if status == probe.NO_RESULT:
            status = None
        if result is None:
            return Answer(status)
        marker, at = result
        if self._u32(at) == UNTOUCHED & 0xFFFF_FFFF:
            return Answer(status)
        if marker is WORD:
            wide = self.memory.read(at, 8)
            narrow = wide[4:] == b"\xaa" * 4
            return Answer(status, int.from_bytes(wide[:4] if narrow else wide, "little"))
        return Answer(status, self.memory.read(self._u32(at), self._u32(at + 8)))

    def _u32(self, at: int) -> int:
        return int.from_bytes(self.memory.read(at, 4), "little")

    def answer_with(self, phase: Phase, action: int) -> None:
        """What a callback returns from now on."""
        self.memory.write_u32(probe.ACTIONS + 4 * phase, action)

    def force_allocator(self, address: int) -> None:
        """Have the allocator answer this, whatever is asked for."""
        self.memory.write_u32(probe.ALLOCATOR_FORCED, 1)
        self.memory.write_u32(probe.ALLOCATOR_RESULT, address)

    def events(self) -> list[tuple[Phase, int, int, int]]:
        """Which callbacks were made, in order, and with which arguments."""
        count = self._u32(probe.EVENTS)
        data = self.memory.read(probe.EVENTS + 16, count * probe.EVENT_BYTES)
        return [(Phase(p), a, b, c) for p, a, b, c in struct.iter_unpack("<4I", data)]

    def in_headers(self, *calls: Call, **stream: Any) -> list[Answer]:
        """Make calls in ``proxy_on_request_headers`` of a new stream."""
        with self.open(**stream) as context:
            self.script(calls, Phase.REQUEST_HEADERS)
            context.on_request_headers(end_of_stream=True)
            return self.answers()

    def in_body(self, *calls: Call, **stream: Any) -> list[Answer]:
        """Make calls in ``proxy_on_request_body`` of a new stream."""
        with self.open(**stream) as context:
            self.script(calls, Phase.REQUEST_BODY)
            context.on_request_headers(end_of_stream=False)
            context.on_request_body(end_of_stream=True)
            return self.answers()

    @contextmanager
    def open(self, **stream: Any) -> Iterator[StreamContext]:
        """Open a stream, and delete it at the end unless the VM trapped."""
        context = self.stream(**stream)
        yield context
        self.script((), Phase.DELETE)
        context.delete()

    def close(self) -> None:
        """Free the VM."""
        self.vm.close()

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _script(calls: Sequence[Call]) -> bytes:
    """The script as it lies in the guest's memory."""
    return struct.pack("<4I", len(calls), 0, 0, 0) + b"".join(map(_entry, calls))


def _entry(one: Call) -> bytes:
    arguments = [a & (1 << 64) - 1 for a in one.args]
    arguments += [0] * (probe.MAX_ARGUMENTS - len(arguments))
    phase = Phase.INITIALIZE if one.phase is None else one.phase
    head = struct.pack("<II12Q", phase, probe.function_index(one.name), *arguments)
    return (head + struct.pack("<I", probe.NO_RESULT)).ljust(probe.ENTRY_BYTES, b"\0")


def at_configure(*calls: Call, **options: Any) -> list[Answer]:
    """Make calls from the root context, in ``proxy_on_configure`` of a new VM."""
    with Guest(script=calls, **options) as guest:
        return guest.answers()


__all__ = [
    "BYTES",
    "OK",
    "OUTSIDE",
    "WORD",
    "Answer",
    "Call",
    "Guest",
    "Outcome",
    "Phase",
    "at_configure",
    "bag",
    "call",
    "http_stream",
]
