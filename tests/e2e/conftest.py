"""What the end-to-end tests share; a test without Envoy is skipped, except in CI."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guests import Guests
from tests.e2e.stack import Services
from tests.support.envoy import installed_envoy
from tests.support.higress_plugins import higress_plugins


@pytest.fixture(scope="session")
def envoy() -> Path:
    """The installed Envoy."""
    return installed_envoy()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled modules that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "compiled"


@pytest.fixture(scope="module")
def services(compiled: Path) -> Iterator[Services]:
    """Makes services in a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="mixer-e2e-") as folder:
        yield Services(Path(folder), compiled)


@pytest.fixture(scope="session")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Guests:
    """Makes modules."""
    return Guests(tmp_path_factory.mktemp("guests"))


@pytest.fixture(scope="session")
def higress() -> Path:
    """The folder of the plugins from the package gpustack-higress-plugins."""
    return higress_plugins()
