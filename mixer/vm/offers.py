"""Which host functions a module gets: those that it imports, by name and type."""

from collections.abc import Iterable

from mixer.vm.engine import Module
from mixer.vm.model import HostFunction


class Offers:
    """Host functions, of which one name may have several signatures.

    Args:
        functions: In the order of preference under one name.
    """

    def __init__(self, functions: Iterable[HostFunction]) -> None:
        self._by_name: dict[tuple[str, str], list[HostFunction]] = {}
        for function in functions:
            self._by_name.setdefault((function.module, function.name), []).append(function)

    def to(self, module: Module) -> list[HostFunction]:
        """Those that a module imports, each once; where no type fits, one that says so."""
        chosen: dict[tuple[str, str], HostFunction] = {}
        for wanted in module.imports:
            name = wanted.module, wanted.name
            offered = self._by_name.get(name, ())
            fitting = [f for f in offered if f.signature == wanted.signature]
            if found := next(iter(fitting or offered), None):
                chosen.setdefault(name, found)
        return list(chosen.values())
