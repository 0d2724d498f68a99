"""The decision cache: answers to requests that agree in all that their answer follows from.

`trace` notes what adapters read while a decision is made, `tree` keeps decisions under it, and
`cache` bounds them and says when one may be used. Only what adapters give a validity is kept.
"""

from mixer.engine.cache.cache import CacheStats, DecisionCache
from mixer.engine.cache.trace import Trace

__all__ = ["CacheStats", "DecisionCache", "Trace"]
