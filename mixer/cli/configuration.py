"""Loading a configuration for a command."""

import sys
from pathlib import Path
from typing import NoReturn

from mixer.cli.failure import fail
from mixer.config import ConfigError, Configuration, load


def refuse(error: ConfigError) -> NoReturn:
    """End the command with every problem."""
    count = len(error.problems)
    fail(f"{error}\n{count} problem{'s' if count != 1 else ''}: nothing was loaded")


def load_or_fail(path: Path) -> Configuration:
    """Load it, print what is accepted without effect, or end the command with every problem."""
    try:
        configuration = load(path)
    except ConfigError as error:
        refuse(error)
    for notice in configuration.notices:
        print(f"note: {notice}", file=sys.stderr)
    return configuration
