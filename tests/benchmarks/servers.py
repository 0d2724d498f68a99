"""The servers that a benchmark asks, each in a process of its own."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

from mixer.study.service import ServiceProcess
from tests.benchmarks.variants import Variant


async def baseline(running: AsyncExitStack, folder: Path, module: str) -> ServiceProcess:
    """A server that does next to nothing; it runs until the stack is left.

    Args:
        running: What it is entered into.
        folder: Has its socket and its log.
        module: What is run with the address, of this package.
    """
    address = f"unix:{folder}/constant.sock"
    command = (sys.executable, "-m", f"tests.benchmarks.{module}")
    # The harness adds the configuration file, which for this server is the address itself.
    server = ServiceProcess(Path(address), address, folder / "constant.log", command=command)
    return await running.enter_async_context(server)


async def service_of(
    running: AsyncExitStack, folder: Path, number: int, variant: Variant
) -> ServiceProcess:
    """The service with the configuration of a variant; it runs until the stack is left."""
    address = f"unix:{folder}/{number}.sock"
    config = folder / f"{number}.yaml"
    config.write_text(variant.documents(address))
    server = ServiceProcess(config, address, folder / f"{number}.log")
    return await running.enter_async_context(server)
