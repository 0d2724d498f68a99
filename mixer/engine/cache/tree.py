"""Decisions under what they follow from: a tree of reads.

What a module reads next follows from what it has read, so that decisions are the leaves of a tree
whose branches are reads and whose twigs are values. To find one, each read on the way to it is made
once. A module whose memory makes it read something else gets a further branch at the same place;
whichever leaf is reached, everything that its decision followed from is equal.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from mixer.engine.cache.reads import Read
from mixer.engine.request import Request

MAX_BRANCHES = 4
"""Different reads that one place has."""

_Leaf = TypeVar("_Leaf")


class Node(Generic[_Leaf]):
    """A place in the tree: what has been read up to here.

    Attributes:
        leaf: The decision that follows from it alone, or None.
        branches: What may be read next.
    """

    __slots__ = ("_branch", "_key", "branches", "leaf")

    def __init__(self, branch: "_Branch[_Leaf] | None" = None, key: Hashable = None) -> None:
        self._branch = branch
        self._key = key
        self.leaf: _Leaf | None = None
        self.branches: list[_Branch[_Leaf]] = []

    def find(self, request: Request) -> _Leaf | None:
        """The leaf that a request leads to, or None."""
        node: Node[_Leaf] | None = self
        while node is not None and node.leaf is None:
            branches = node.branches
            if len(branches) != 1:
                return node._find_in_any(request)
            [branch] = branches
            node = branch.twigs.get(branch.read.of(request))
        return None if node is None else node.leaf

    def _find_in_any(self, request: Request) -> _Leaf | None:
        """Go on where modules read now this, now that."""
        for branch in self.branches:
            twig = branch.twigs.get(branch.read.of(request))
            found = None if twig is None else twig.find(request)
            if found is not None:
                return found
        return None

    def place(self, reads: Sequence[tuple[Read, Hashable]]) -> "Node[_Leaf] | None":
        """The node for these reads and values, made if need be; None where there is no room."""
        node = self
        for read, key in reads:
            branch = node._branch_for(read)
            if branch is None:
                node.prune()
                return None
            twig = branch.twigs.get(key)
            if twig is None:
                twig = branch.twigs[key] = Node(branch, key)
            node = twig
        return node

    def _branch_for(self, read: Read) -> "_Branch[_Leaf] | None":
        for branch in self.branches:
            if branch.read == read:
                return branch
        if len(self.branches) >= MAX_BRANCHES:
            return None
        self.branches.append(_Branch(read, self))
        return self.branches[-1]

    def prune(self) -> None:
        """Take it away, and the way to it, as far as nothing else is there."""
        node = self
        while node.leaf is None and not node.branches and node._branch is not None:
            branch = node._branch
            del branch.twigs[node._key]
            if branch.twigs:
                return
            node = branch.node
            node.branches.remove(branch)


class _Branch(Generic[_Leaf]):
    """One read at one place, and where each value leads."""

    __slots__ = ("node", "read", "twigs")

    def __init__(self, read: Read, node: Node[_Leaf]) -> None:
        self.read = read
        self.node = node
        self.twigs: dict[Hashable, Node[_Leaf]] = {}
