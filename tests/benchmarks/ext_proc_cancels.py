"""Memory of the service while streams of ext_proc are opened and cancelled, one after the other.

``python -m tests.benchmarks.ext_proc_cancels [COUNT]``
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import psutil

from mixer.api import ext_proc
from mixer.demo.credentials import new_credentials
from mixer.study.service import ServiceProcess
from tests.benchmarks.ext_proc import messages_of, service_of
from tests.benchmarks.variants import variants

COUNT = 500_000
_CONCURRENCY = 8
_STAGES = 10
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Resident:
    """What the service took at a time.

    Attributes:
        streams: That had been opened and cancelled.
        mib: Resident memory.
    """

    streams: int
    mib: float


async def measure(count: int) -> list[Resident]:
    """Open and cancel so many: a third before anything is sent, a third before the answer.

    Args:
        count: Streams.
    """
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        _, empty, *_ = variants(folder, new_credentials())
        service = await service_of(running, folder, 0, empty)
        channel = await running.enter_async_context(grpc.aio.insecure_channel(service.address))
        begin = channel.stream_stream(f"/{ext_proc.SERVICE}/{ext_proc.METHOD}")
        (message, *_) = messages_of(empty)
        await channel.channel_ready()
        found = [await _after(begin, message, service, 0, count // _STAGES)]
        while found[-1].streams < count:
            done = found[-1].streams
            found.append(await _after(begin, message, service, done, count // _STAGES))
        return found


async def _after(
    begin: Any, message: bytes, service: ServiceProcess, done: int, count: int
) -> Resident:
    await asyncio.gather(
        *(_some(begin, message, count // _CONCURRENCY) for _ in range(_CONCURRENCY))
    )
    return Resident(done + count, psutil.Process(service.pid).memory_info().rss / _MIB)


async def _some(begin: Any, message: bytes, count: int) -> None:
    for number in range(count):
        call = begin()
        if number % 3:
            await call.write(message)
        if number % 3 == 1:
            await call.read()
        call.cancel()


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    for found in asyncio.run(measure(count)):
        print(f"{found.streams:>9,} streams  {found.mib:7.1f} MiB")


if __name__ == "__main__":
    main()
