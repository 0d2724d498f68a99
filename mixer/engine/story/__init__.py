"""How one decision was made: who read what, and how long each adapter took."""

from mixer.engine.story.story import DecisionLog, Sampler, Seen, Story, Turn, Wanted
from mixer.engine.story.witness import Witness

__all__ = ["DecisionLog", "Sampler", "Seen", "Story", "Turn", "Wanted", "Witness"]
