"""What a rule says of an adapter."""

from dataclasses import dataclass, field

from mixer.config import MixerRule, Problem, WasmPlugin
from mixer.config.problem import FieldPath
from mixer.engine.selection.ordered import Condition


@dataclass(frozen=True, slots=True)
class By:
    """Who says it.

    Attributes:
        rule: The name of the rule.
        owner: Where it is written.
        path: The field there.
    """

    rule: str
    owner: MixerRule | WasmPlugin
    path: FieldPath

    def problem(self, message: str) -> Problem:
        """Say what is wrong with it, and where that is written."""
        return self.owner.problem(self.path, message)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How an adapter runs for some requests.

    Attributes:
        condition: Tells for which.
        by: Who says so.
        runs: Whether it runs at all.
        configuration: What its module gets, secret; None for that of its WasmPlugin.
    """

    condition: Condition
    by: By
    runs: bool = True
    configuration: bytes | None = field(default=None, repr=False)
