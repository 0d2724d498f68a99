"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable

PATIENCE_S = 30.0


def eventually(condition: Callable[[], object]) -> None:
    """Wait for a condition; a test that waits in vain fails."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)
