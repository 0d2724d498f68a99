"""What tests with real processes need."""

from pathlib import Path

import pytest

from tests.support.envoy import installed_envoy


@pytest.fixture
def envoy() -> Path:
    """The installed Envoy; a test that needs it is skipped without one, except in CI."""
    return installed_envoy()
