"""The expressions that one plugin keeps, and what they can name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mixer.cel import ABSENT, AttributeActivation, EvaluationError, Program
from mixer.proxywasm.filter_state import UNDECLARED, FilterStateMap

if TYPE_CHECKING:
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.stream_properties import StreamProperties

_TOKENS = 1 << 32


@dataclass(slots=True)
class Expressions:
    """The expressions of one plugin.

    Attributes:
        programs: By token.
        faults: How many texts that are no expression the log has.
    """

    programs: dict[int, Program] = field(default_factory=dict)
    faults: int = 0
    _next: int = 0

    @property
    def size(self) -> int:
        """Bytes of the texts of all of them."""
        return sum(program.size for program in self.programs.values())

    def add(self, program: Program) -> int:
        """Keep an expression, and give it a token."""
        token = self.take_token()
        self.programs[token] = program
        return token

    def take_token(self) -> int:
        """A token that no expression has; it is not given again soon."""
        while self._next in self.programs:
            self._next = (self._next + 1) % _TOKENS
        token, self._next = self._next, (self._next + 1) % _TOKENS
        return token


class PluginActivation:
    """What an expression can name outside of a stream."""

    __slots__ = ("_root",)

    def __init__(self, root: RootContext) -> None:
        self._root = root

    def find(self, name: str) -> Any:
        """See `mixer.cel.Activation`."""
        value = self._root.plugin_property(name)
        return ABSENT if value is None else value


class StreamActivation(AttributeActivation):
    """What an expression can name in a stream: attributes, then the plugin, then what was set."""

    __slots__ = ("_own_property", "_stream")

    def __init__(self, context: StreamProperties) -> None:
        super().__init__(context.attribute)
        self._own_property = context.own_property
        self._stream = context.stream

    def find(self, name: str) -> Any:
        """See `mixer.cel.Activation`."""
        if name == "filter_state":
            return FilterStateMap(self._stream.filter_state, self._stream.state)
        value = super().find(name)
        if value is not ABSENT:
            return value
        own = self._own_property(name)
        if own is not None:
            return own
        path = name.encode(errors="surrogateescape")
        content = self._stream.filter_state.get(path)
        if content is None:
            return ABSENT
        prototype = self._stream.state.declared.get(path, UNDECLARED)
        value = prototype.value(content, whole=False)
        if value is None:
            raise EvaluationError(f"{name} is not the message that was declared")
        return value
