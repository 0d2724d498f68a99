"""How long the service takes to answer after its start, with a warm compile cache."""

import statistics
import tempfile
import time
from pathlib import Path

from mixer.study.service import ServiceProcess
from tests.benchmarks.variants import Variant


async def measure(variant: Variant, starts: int) -> float:
    """The median seconds from the start of the process to SERVING; one more start warms up."""
    took = []
    with tempfile.TemporaryDirectory(prefix="mixer-bench-") as name:
        folder = Path(name)
        address = f"unix:{folder}/mixer.sock"
        config = folder / "mixer.yaml"
        config.write_text(variant.documents(address))
        for _ in range(starts + 1):
            began = time.perf_counter()
            async with ServiceProcess(config, address, folder / "mixer.log"):
                took.append(time.perf_counter() - began)
    return statistics.median(took[1:])
