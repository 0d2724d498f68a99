"""A process that asks for a quota as often as it can, over a store that others use too.

Usage: ``python -m tests.adapters.hammer CONFIG QUOTA TIMES``. It says ``ready``, begins with the
first line that it reads, and prints how much it was granted and how many answers were none.
"""

import sys
from pathlib import Path

from mixer.config import load
from mixer.engine import Decision, Engine, Verdict
from tests.adapters.asking import quota_request


def main(config: str, quota: str, times: str) -> None:
    """Ask for 1 each time."""
    granted = failed = 0
    with Engine(load(Path(config))) as engine:
        _say("ready")
        sys.stdin.readline()
        for _ in range(int(times)):
            decision = engine.allocate(quota_request(quota, 1), quota)
            assert isinstance(decision, Decision)
            granted += decision.granted or 0
            failed += decision.verdict is not Verdict.ALLOW
    _say(f"{granted} {failed}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
