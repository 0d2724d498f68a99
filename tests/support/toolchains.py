"""Toolchains that a test needs: skipped where one is missing, which in CI is a failure."""

import os
import shutil
from collections.abc import Iterable

import pytest


def needs(programs: Iterable[str], packages: str) -> None:
    """Skip the test unless the programs are there.

    Args:
        programs: Names on the PATH, or absolute paths.
        packages: What to install.
    """
    missing = [one for one in programs if shutil.which(one) is None]
    if not missing:
        return
    told = f"no {', '.join(missing)}: install {packages}"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)
