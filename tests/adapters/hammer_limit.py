"""A service that asks for a rate limit as fast as it can: ``hammer_limit CONFIG NUMBER WAY``.

Says ``ready``, waits for a line, and prints how many requests passed.
"""

import sys
from pathlib import Path

import pytest

from mixer.config import load
from mixer.engine import Engine
from tests.adapters.counting import count_by
from tests.adapters.test_quota_domains import OK, ask
from tests.api.rate_limit_calls import request_bytes


def main(config: str, number: str, way: str) -> None:
    """Hammer."""
    count_by(way, pytest.MonkeyPatch())
    with Engine(load(Path(config), environ={})) as engine:
        data = request_bytes((("user", "alice"),))
        _say("ready")
        sys.stdin.readline()
        _say(str(sum(ask(engine, data).overall_code == OK for _ in range(int(number)))))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
