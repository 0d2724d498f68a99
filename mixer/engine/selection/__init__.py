"""Which adapters run for a request, and how they are configured for it.

`matching` tells which requests a WasmPlugin is for, `ordered` finds what is for a request among
many rules by an index of hosts, paths and other texts, and a `Selector` brings both together.
"""

from mixer.engine.selection.arrangement import Arrangement, By
from mixer.engine.selection.ordered import ALWAYS, Condition, Ordered, where_true
from mixer.engine.selection.selector import Selector, Slot

__all__ = ["ALWAYS", "Arrangement", "By", "Condition", "Ordered", "Selector", "Slot", "where_true"]
