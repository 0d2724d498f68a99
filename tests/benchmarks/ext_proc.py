"""CPU that the server spends on a stream of ext_proc with nothing but request headers.

Compared with a handler that does nothing on the same transport. As an Envoy does, the caller sends
the headers, takes the answer and cancels.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc.aio
import psutil
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api import ext_proc
from mixer.study.service import ServiceProcess
from tests.benchmarks.servers import baseline, service_of
from tests.benchmarks.variants import Variant

PROCESSOR = "constant_processor"
"""The module of the baseline."""

_CONCURRENCY = 8
_ROUNDS = 7
_PSEUDO = ("authority", "path", "method", "scheme")


@dataclass(slots=True)
class StreamCost:
    """What was measured of one server.

    Attributes:
        name: The variant.
        cpu_us: Microseconds of CPU for a stream, one figure for each round.
    """

    name: str
    cpu_us: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.cpu_us)


async def measure(variants: Sequence[Variant], streams: int) -> list[StreamCost]:
    """Ask each server in turns, the baseline first, so that noise hits all of them alike.

    Args:
        variants: What to compare.
        streams: How often each is asked in a round.
    """
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        servers = [await baseline(running, folder, PROCESSOR)]
        servers += [await service_of(running, folder, i, v) for i, v in enumerate(variants)]
        requests = [messages_of(v) for v in (variants[0], *variants)]
        costs = [StreamCost("does nothing (baseline)"), *(StreamCost(v.name) for v in variants)]
        for number in range(_ROUNDS + 1):
            for server, asked, cost in zip(servers, requests, costs, strict=True):
                spent = await _ask(server, asked, streams)
                if number:  # the first round warms up
                    cost.cpu_us.append(spent / streams * 1e6)
        return costs


def messages_of(variant: Variant) -> list[bytes]:
    """The requests of a variant as the first message of a stream."""
    return [_message(external_auth_pb2.CheckRequest.FromString(one)) for one in variant.requests()]


def _message(check: Any) -> bytes:
    http = check.attributes.request.http
    message = external_processor_pb2.ProcessingRequest()
    message.protocol_config.SetInParent()
    message.metadata_context.SetInParent()
    headers = message.request_headers.headers.headers
    own = {":authority": http.host, ":path": http.path, ":method": http.method, ":scheme": "http"}
    for name, value in (own | dict(http.headers)).items():
        headers.add(key=name, raw_value=value.encode())
    message.request_headers.end_of_stream = True
    return bytes(message.SerializeToString())


async def _ask(server: ServiceProcess, messages: list[bytes], streams: int) -> float:
    process = psutil.Process(server.pid)
    async with grpc.aio.insecure_channel(server.address) as channel:
        begin = channel.stream_stream(f"/{ext_proc.SERVICE}/{ext_proc.METHOD}")

        async def caller() -> None:
            for message in islice(turns, streams // _CONCURRENCY):
                await _stream(begin, message)

        turns = cycle(messages)
        await channel.channel_ready()
        before = process.cpu_times()
        await asyncio.gather(*(caller() for _ in range(_CONCURRENCY)))
        after = process.cpu_times()
    return (after.user - before.user) + (after.system - before.system)


async def _stream(begin: Any, message: bytes) -> None:
    call = begin()
    await call.write(message)
    await call.read()
    call.cancel()
