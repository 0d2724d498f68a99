"""Memory of the service while streams of ext_proc are opened and cancelled, one after the other.

Beside it, in the same way, a handler that does nothing on the same transport: gRPC itself keeps
some dozens of bytes of each stream.

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
from tests.benchmarks.ext_proc import PROCESSOR, messages_of
from tests.benchmarks.servers import baseline, service_of
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


async def measure(count: int) -> list[tuple[Resident, Resident]]:
    """Open and cancel so many: a third before anything is sent, a third before the answer.

    Args:
        count: Streams.

    Returns:
        Of the handler that does nothing, and of the service, after each tenth.
    """
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        _, empty, *_ = variants(folder, new_credentials())
        servers = (
            await baseline(running, folder, PROCESSOR),
            await service_of(running, folder, 0, empty),
        )
        begins = [await _method(running, server.address) for server in servers]
        (message, *_) = messages_of(empty)
        found = []
        for stage in range(1, _STAGES + 1):
            done = count * stage // _STAGES
            both = [
                await _after(begin, message, server, done, count // _STAGES)
                for begin, server in zip(begins, servers, strict=True)
            ]
            found.append((both[0], both[1]))
        return found


async def _method(running: AsyncExitStack, address: str) -> Any:
    channel = await running.enter_async_context(grpc.aio.insecure_channel(address))
    await channel.channel_ready()
    return channel.stream_stream(f"/{ext_proc.SERVICE}/{ext_proc.METHOD}")


async def _after(
    begin: Any, message: bytes, service: ServiceProcess, done: int, count: int
) -> Resident:
    await asyncio.gather(
        *(_some(begin, message, count // _CONCURRENCY) for _ in range(_CONCURRENCY))
    )
    return Resident(done, psutil.Process(service.pid).memory_info().rss / _MIB)


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
    print("streams, then MiB of a handler that does nothing, and of the service")
    for nothing, service in asyncio.run(measure(count)):
        print(f"{service.streams:>9,} {nothing.mib:8.1f} {service.mib:8.1f}")


if __name__ == "__main__":
    main()
