"""The plugins that a stock Envoy can load have the same outcomes in its own Wasm filter."""

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.higress import catalogue
from tests.higress.cases import Seen
from tests.higress.envoy import through_envoy
from tests.higress.host import Host, module_file

CASES = {name: case for name, case in catalogue.CASES.items() if not case.differs}

InEnvoy = Callable[[str], dict[str, list[Seen]]]


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, higress: Path, tmp_path_factory: pytest.TempPathFactory) -> InEnvoy:
    """The cases of a plugin in Envoy's own filter, each plugin in an Envoy of its own.

    V8 takes seconds to compile such a plugin, all of it before Envoy is ready.
    """

    @cache
    def run(plugin: str) -> dict[str, list[Seen]]:
        cases = {name: case for name, case in CASES.items() if case.plugin == plugin}
        modules = {plugin: module_file(higress, plugin)}
        return asyncio.run(through_envoy(cases, tmp_path_factory.mktemp("modules"), modules))

    return run


@pytest.mark.parametrize("name", CASES)
def test_same(name: str, in_envoy: InEnvoy, host: Host) -> None:
    """The client and the upstream see the same."""
    here = [seen.comparable() for seen in host.run(CASES[name])]
    there = in_envoy(CASES[name].plugin)[name]
    assert here == [seen.comparable() for seen in there]
