"""Rules: what becomes of headers where the adapters allowed a request."""

from mixer.engine.rules.rule import Rule
from mixer.engine.rules.rules import NOTHING, Applied, Rules

__all__ = ["NOTHING", "Applied", "Rule", "Rules"]
