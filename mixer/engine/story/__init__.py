"""How one decision was made: who read what, and how long each adapter took."""

from mixer.engine.story.story import DecisionLog, Sampler, Story, Turn, Wanted
from mixer.engine.story.witness import Witness

__all__ = ["DecisionLog", "Sampler", "Story", "Turn", "Wanted", "Witness"]
