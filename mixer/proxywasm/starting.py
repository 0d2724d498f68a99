"""The first moments of a VM: its module's own start code, before there is any context."""

from typing import Any

from mixer.vm import Instance, Memory, NoMemory


class Unborn:
    """Stands for the instance while the module's start section runs: it has no memory yet."""

    def __init__(self) -> None:
        self.data: Any = None
        self.memory: Memory = NoMemory()

    def function(self, name: str) -> None:
        """There is none."""

    def set_cpu_limit(self, seconds: float) -> None:
        """There is none."""

    def close(self) -> None:
        """There is nothing to free."""


def run_start_code(instance: Instance) -> None:
    """Run it: a reactor has ``_initialize`` and perhaps a main; a command has ``_start``.

    Raises:
        TrapError: It trapped.
    """
    initialize = instance.function("_initialize")
    if initialize is None:
        start = instance.function("_start")
        if start is not None:
            start()
        return
    initialize()
    if main := instance.function("main"):
        main(0, 0)
    elif main := instance.function("__main_void"):
        main()
