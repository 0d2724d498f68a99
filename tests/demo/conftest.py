"""What the whole demo needs."""

import importlib.util
import os
from importlib import resources

import pytest

import mixer.cli
from mixer.study.envoy import EnvoyNotFound, find_envoy


def _missing() -> str | None:
    try:
        find_envoy()
    except EnvoyNotFound as error:
        return str(error)
    if importlib.util.find_spec("joserfc") is None:
        return "joserfc is not installed: pip install '.[demo]'"
    if not hasattr(mixer.cli, "app"):
        return "the command `mixer` is not there yet"
    if not (resources.files("mixer") / "modules" / "auth.wasm").is_file():
        return "the auth module is not built: run adapters/build.sh"
    return None


@pytest.fixture
def everything_installed() -> None:
    """A test that runs the demo is skipped where something lacks, except in CI."""
    missing = _missing()
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing is not None:
        pytest.skip(missing)
