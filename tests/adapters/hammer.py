"""A process that asks for quotas as often as it can, over a store that others use too.

Usage: ``python -m tests.adapters.hammer CONFIG QUOTAS TIMES WAY``, with commas between the quotas.
It says ``ready``, begins with the first line that it reads, and prints how much it was granted of
each, and how many answers were none.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest

from mixer.config import load
from mixer.engine import Decision, Engine, Verdict
from tests.adapters.asking import quota_request
from tests.adapters.counting import count_by


def main(config: str, quotas: str, times: str, way: str) -> None:
    """Ask for 1 of each quota, each time."""
    count_by(way, pytest.MonkeyPatch())
    granted, failed = Counter(dict.fromkeys(quotas.split(","), 0)), 0
    with Engine(load(Path(config))) as engine:
        _say("ready")
        sys.stdin.readline()
        for _ in range(int(times)):
            for quota in granted:
                decision = engine.allocate(quota_request(quota, 1), quota)
                assert isinstance(decision, Decision)
                granted[quota] += decision.granted or 0
                failed += decision.verdict is not Verdict.ALLOW
    _say(" ".join(map(str, [*granted.values(), failed])))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
