"""Where the plugins of the package gpustack-higress-plugins are."""

import os
from importlib import resources
from pathlib import Path

import pytest

_PACKAGE = "gpustack_higress_plugins"


def higress_plugins() -> Path:
    """Their folder; a test without the package is skipped, except in CI."""
    if os.environ.get("CI") != "true":
        pytest.importorskip(_PACKAGE)
    return Path(str(resources.files(_PACKAGE) / "plugins"))
