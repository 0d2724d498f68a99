"""The real Envoy of this environment."""

import os
from pathlib import Path

import pytest

from mixer.study.envoy import EnvoyNotFound, find_envoy


def installed_envoy() -> Path:
    """The installed Envoy; a test without one is skipped from here on, except in CI."""
    try:
        return find_envoy()
    except EnvoyNotFound as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
