"""Both linkers behind one interface."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from mixer.vm import HostFunction, Instance, VmLimits
from mixer.vm.fast import FastLinker
from mixer.vm.portable import PortableLinker
from tests.support.compile import engine, module

LINKERS = {"fast": FastLinker, "portable": PortableLinker}

Instantiate = Callable[..., Instance]


@pytest.fixture(params=LINKERS)
def instantiate(request: pytest.FixtureRequest) -> Iterator[Instantiate]:
    """Make instances of WebAssembly text over each of the linkers; closed at the end."""
    linkers: list[Any] = []
    instances: list[Instance] = []

    def make(
        text: str,
        functions: Sequence[HostFunction] = (),
        data: Any = None,
        limits: VmLimits | None = None,
        *,
        together: bool = False,
    ) -> Instance:
        if not (together and linkers):
            linkers.append(LINKERS[request.param](engine(), functions))
        limits = limits or VmLimits(cpu=5.0)
        instances.append(linkers[-1].instantiate(module(text), data, limits))
        return instances[-1]

    yield make
    for instance in instances:
        instance.close()
    for linker in linkers:
        linker.close()
