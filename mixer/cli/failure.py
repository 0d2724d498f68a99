"""How a command ends that cannot do what it was asked for."""

import sys
from typing import NoReturn

import typer

FAILED = 1
USAGE = 2


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Print a message to standard error and end the command."""
    print(message, file=sys.stderr)
    raise typer.Exit(status)
