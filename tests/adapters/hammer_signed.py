"""A process that is sent signed requests, over a store that others use too.

Usage: ``python -m tests.adapters.hammer_signed CONFIG CREATED TIMES``. It says ``ready``, begins
with the first line that it reads, and prints what came of each request.
"""

import sys
from pathlib import Path

from mixer.config import load
from mixer.engine import Decision, Engine
from tests.adapters.signing import signed
from tests.engine.conftest import request


def main(config: str, created: str, times: str) -> None:
    """Send requests whose nonces are counted up."""
    with Engine(load(Path(config))) as engine:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for number in range(int(times)):
            headers = signed(int(created), f"n{number}", target="/")
            decision = engine.decide(request(*(p for p in headers.items() if p[0] != ":path")))
            assert isinstance(decision, Decision)
            sys.stdout.write(f"{decision.reason or decision.verdict.value}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
