"""How flags are written: where `mixc` takes more than this command line does by itself.

Source: the library of flags that `mixc` is built with, ``pflag``.
"""

import re
from typing import Any

from typer.core import TyperCommand

_SHORT = re.compile(r"-[a-z]=.", re.DOTALL)
_BARE = frozenset({"--print_response"})


class MixcCommand(TyperCommand):
    """Takes ``-r=2`` for ``-r 2`` as well, and a flag of true or false without either."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `click.Command`."""
        return super().parse_args(ctx, [_rewritten(one) for one in args])


def _rewritten(argument: str) -> str:
    if argument in _BARE:
        return f"{argument}=true"
    return argument[:2] + argument[3:] if _SHORT.match(argument) else argument
