"""What the tests of the plugins share."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import compiled, envoy, higress
from tests.higress.host import Host, module_file

__all__ = ["compiled", "envoy", "higress"]


@pytest.fixture(scope="session")
def host(higress: Path, compiled: Path) -> Iterator[Host]:
    """This host, with the plugins of the package."""
    made = Host(partial(module_file, higress), compiled)
    yield made
    made.close()
