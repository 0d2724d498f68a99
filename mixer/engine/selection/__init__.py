"""Finding what is for a request among many rules, by an index of hosts, paths and other texts."""

from mixer.engine.selection.ordered import ALWAYS, Condition, Ordered, where_true

__all__ = ["ALWAYS", "Condition", "Ordered", "where_true"]
