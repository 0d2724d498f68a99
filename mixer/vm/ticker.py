"""The clock of the epochs, by which guests that run too long are interrupted.

Where the system can call a C function at intervals (a POSIX timer with ``SIGEV_THREAD``), the clock
ticks without the interpreter. Guests can then be entered without giving the interpreter's lock
away. To do so costs little by itself, but each time it wakes a thread that waits for the lock, such
as the ledger's, and mostly in vain, since guests come back within microseconds: that costs both
threads more than the guest takes. Elsewhere a thread of Python's ticks, and guests must leave it
the lock.

The C library of GNU makes a thread for each tick. While the system gives it none (the bound of a
container on processes is reached), no guest is interrupted, and one that loops has the lock.
"""

import ctypes
import os
import sys
import threading
import time
from collections import deque
from ctypes import byref
from typing import Any, ClassVar, Protocol

import wasmtime
from wasmtime._ffi import dll

TICK = 0.01
"""Seconds between two epochs: the resolution of every CPU limit."""

_GRACE_S = 10.0
"""For so long an engine outlives its clock: a tick may have begun, and nothing tells its end."""

_NO_TIMER = "the system gives no timer; RLIMIT_SIGPENDING bounds them, for all processes of a user"

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD = 2
_SIGEVENT_BYTES = 64


class _SigEvent(ctypes.Structure):
    """``struct sigevent`` of glibc and musl, on 64 bits."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("reserved", ctypes.c_char * (_SIGEVENT_BYTES - 32)),
    )


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: seconds and nanoseconds of the interval, and until the first time."""

    _fields_ = (("interval", ctypes.c_long * 2), ("first", ctypes.c_long * 2))


class Ticker(Protocol):
    """Increments the epoch of an engine until it is closed."""

    def close(self) -> None:
        """Stop. The engine may be dropped afterwards."""


class TimerTicker:
    """Ticks by a timer of the system, in a forked child by another one.

    The engine lives for as long, whoever else drops it: also while the interpreter ends, when
    guests may run yet.

    Args:
        engine: Whose epoch it increments.

    Raises:
        OSError: The system gives no timer.
    """

    _open: ClassVar[set["TimerTicker"]] = set()
    _outlived: ClassVar[deque[tuple[float, wasmtime.Engine]]] = deque()

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._begin()
        self._open.add(self)
        _keep(ctypes.py_object(engine))

    def _begin(self) -> None:
        self._timer = _timer(ctypes.cast(self._engine.ptr(), ctypes.c_void_p))
        every = (ctypes.c_long * 2)(0, int(TICK * 1e9))
        _check(_libc.timer_settime(self._timer, 0, byref(_TimerSpec(every, every)), None))

    def close(self) -> None:
        """See `Ticker`."""
        if self not in self._open:
            return
        self._open.remove(self)
        _libc.timer_delete(self._timer)
        outlived, now = self._outlived, time.monotonic()
        outlived.append((now, self._engine))
        while outlived and outlived[0][0] < now - _GRACE_S:
            _drop(ctypes.py_object(outlived.popleft()[1]))

    @classmethod
    def begin_all(cls) -> None:
        """Begin again in a child, which has no timers of its parent."""
        for one in cls._open:
            one._begin()


class ThreadTicker:
    """Ticks by a thread, which needs the interpreter's lock for each tick.

    Args:
        engine: Whose epoch it increments.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mixer-epoch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            self._engine.increment_epoch()

    def close(self) -> None:
        """See `Ticker`."""
        self._stop.set()
        self._thread.join()


def _timer(engine: ctypes.c_void_p) -> ctypes.c_void_p:
    """One that is not set yet, and increments the epoch of an engine. Raises OSError."""
    timer, increment = ctypes.c_void_p(), dll.wasmtime_engine_increment_epoch
    function = ctypes.cast(increment, ctypes.c_void_p)
    event = _SigEvent(value=engine, notify=_SIGEV_THREAD, function=function)
    _check(_libc.timer_create(_CLOCK_MONOTONIC, byref(event), byref(timer)))
    return timer


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), _NO_TIMER)


def _library() -> Any:
    """The C library, where it has timers whose structures are known here."""
    platform: str = sys.platform
    if platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "timer_create") else None


def _has_timers() -> bool:
    if _libc is None:
        return False
    try:
        timer = _timer(ctypes.c_void_p())
    except OSError:
        return False
    return not _libc.timer_delete(timer)


_libc = _library()
NEEDS_NO_LOCK = _has_timers()
"""Whether the clock ticks while another thread has the interpreter's lock."""

# References that the end of the interpreter does not drop.
_keep, _drop = ctypes.pythonapi.Py_IncRef, ctypes.pythonapi.Py_DecRef

if NEEDS_NO_LOCK:
    os.register_at_fork(after_in_child=TimerTicker.begin_all)


def ticker(engine: wasmtime.Engine) -> Ticker:
    """Begin to increment the epoch of an engine, every `TICK` seconds."""
    return TimerTicker(engine) if NEEDS_NO_LOCK else ThreadTicker(engine)
