"""What tests with real processes need."""

import os
from pathlib import Path

import pytest

from mixer.study.envoy import EnvoyNotFound, find_envoy


@pytest.fixture
def envoy() -> Path:
    """The installed Envoy; a test that needs it is skipped without one, except in CI."""
    try:
        return find_envoy()
    except EnvoyNotFound as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
