"""How a command ends when nobody reads what it writes, as behind ``| head``."""

import os
import sys
from typing import Any

from typer.core import TyperGroup

NOBODY_READS = 141
"""As a shell tells of a command that SIGPIPE ended: 128 and the signal's number."""


class Quiet(TyperGroup):
    """Commands that say nothing of it, and end with a status of its own."""

    def invoke(self, ctx: Any) -> Any:
        """See `typer.core.TyperGroup`, whose context belongs to the click that it has within it."""
        try:
            found = super().invoke(ctx)
            print(end="", flush=True)
        except BrokenPipeError:
            # What is left in the buffer is written at the end of the interpreter.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(NOBODY_READS)
        return found
