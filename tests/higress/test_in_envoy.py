"""The plugins that a stock Envoy can load have the same outcomes in its own Wasm filter."""

import asyncio
from pathlib import Path

import pytest

from tests.higress import catalogue
from tests.higress.cases import Seen
from tests.higress.envoy import through_envoy
from tests.higress.host import Host, module_file

CASES = {name: case for name, case in catalogue.CASES.items() if not case.differs}


@pytest.fixture(scope="module")
def in_envoy(
    envoy: Path, higress: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Seen]]:
    """Every case in Envoy's own filter."""
    plugins = {case.plugin: module_file(higress, case.plugin) for case in CASES.values()}
    return asyncio.run(through_envoy(CASES, tmp_path_factory.mktemp("modules"), plugins))


@pytest.mark.parametrize("name", CASES)
def test_same(name: str, in_envoy: dict[str, list[Seen]], host: Host) -> None:
    """The client and the upstream see the same."""
    here = [seen.comparable() for seen in host.run(CASES[name])]
    assert here == [seen.comparable() for seen in in_envoy[name]]
