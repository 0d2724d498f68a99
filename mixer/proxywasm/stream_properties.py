"""What a module can know of its stream by name: attributes, properties and expressions."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixer.cel import GROUPS
from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context, RootContext
from mixer.proxywasm.expressions import StreamActivation
from mixer.proxywasm.filter_state import UNDECLARED, FilterStateMap
from mixer.proxywasm.property_codec import (
    NotALeaf,
    encode_known,
    look_up,
    look_up_older,
    split,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixer.attributes import Value
    from mixer.cel import Activation
    from mixer.proxywasm.http_stream import HttpStream
    from mixer.proxywasm.property_plan import Found, PropertyPlan
    from mixer.proxywasm.reads import Reads
    from mixer.proxywasm.tcp_stream import TcpStream

_FILTER_STATE = "filter_state"
_VM_MEMORY = "plugin_vm_memory"
_NEED_REBUILD = b"wasm_need_rebuild"
"""Higress's: later streams are to have a new VM."""


_ALIKE: Mapping[str, Callable[[Any], Value | None]] = MappingProxyType({})


class StreamProperties(Context):
    """The answers of a stream to ``proxy_get_property`` and ``proxy_set_property``.

    Args:
        root: The plugin.
        stream: The request or the connection, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.

    Attributes:
        said: The properties that this plugin set, by path; None where it set none.
    """

    __slots__ = ("root", "said", "stream")

    stream: HttpStream | TcpStream

    def __init__(
        self, root: RootContext, stream: HttpStream | TcpStream, reads: Reads | None = None
    ) -> None:
        super().__init__(root.vm, root.vm.next_context_id())
        self.root = root
        self.stream = stream
        self.reads = reads
        self.said: dict[bytes, bytes] | None = None

    def note_recorded(self) -> None:
        """Note what the ledger took on last; whoever answers for the stream waits for it."""
        commits, stream = self.vm.services.commits, self.stream
        if commits is not None:
            if stream.tickets is None:
                stream.tickets = {}
            stream.tickets.setdefault(self.root, []).append(commits.last)

    def note_unrecorded(self) -> None:
        """Note that the ledger had no room; whoever answers for what is over may have to know."""
        self.stream.unrecorded = True

    @property
    def phased(self) -> Mapping[str, Callable[[Any], Value | None]]:
        """How to read the attributes that are not what the front end says in the present phase."""
        return _ALIKE

    def attribute(self, name: str) -> Value | None:
        """An attribute; None where it is absent."""
        return self.stream.attributes.get(name)

    def get_property(self, path: bytes) -> bytes | None:
        """See `Context.get_property`."""
        parts = split(path)
        first = parts[0]
        if first == _FILTER_STATE:
            return self._filter_state(parts)
        value = look_up(self.attribute, parts)
        if value is not None or first in GROUPS:
            return encode_known(value)
        return encode_known(self._own_property(parts))

    def get_properties(self, plan: PropertyPlan) -> list[Found]:
        """See `Context.get_properties`."""
        direct = self.stream.attributes.direct
        if direct is None:
            return plan.read(self.attribute, self.get_property)
        return plan.read_directly(self, direct, self.phased, self.get_property)

    def _own_property(self, parts: tuple[str, ...]) -> Value | None:
        """What the plugin has, what modules set, and what older proxies had."""
        first, rest = parts[0], parts[1:]
        known = self.own_property(first)
        if known is None:
            known = self._set_property(first, whole=not rest)
        if known is None:
            return look_up_older(self.stream.attributes.get, parts)
        return walk(known, rest)

    def own_property(self, name: str) -> Value | None:
        """What the plugin can know of itself; None where that is nothing."""
        if name == _VM_MEMORY and self.reads is not None:
            self.reads.saw_volatile()
        return self.root.plugin_property(name)

    def _set_property(self, name: str, *, whole: bool) -> Value | None:
        path = name.encode(errors="surrogateescape")
        content = self.stream.filter_state.get(path)
        if content is None:
            return None
        prototype = self.stream.state.declared.get(path, UNDECLARED)
        value: Value | None = prototype.value(content, whole=whole)
        return value

    def _filter_state(self, parts: tuple[str, ...]) -> bytes | None:
        stream = self.stream
        if len(parts) == 1:
            raise NotALeaf
        found = walk(FilterStateMap(stream.filter_state, stream.state), parts[1:])
        return encode_known(look_up(self.attribute, parts) if found is None else found)

    def set_property(self, path: bytes, value: bytes) -> Status:
        """See `Context.set_property`."""
        stream = self.stream
        if path in stream.filter_state:
            if stream.state.declared.get(path, UNDECLARED).readonly:
                return Status.BAD_ARGUMENT
        elif path in self.root.prototypes:
            stream.state = stream.state.declare(path, self.root.prototypes[path])
        stream.filter_state[path] = value
        if self.said is None:
            self.said = {}
        self.said[path] = value
        if path == _NEED_REBUILD and value == b"true":
            if self.reads is not None:
                self.reads.saw_volatile()
            self.vm.want_rebuild()
        return Status.OK

    def set_filter_state_object(self, name: str, value: str, span: int) -> Status:
        """See `Context.set_filter_state_object`."""
        self.stream.state = self.stream.state.put(name, value, span)
        return Status.OK

    def activation(self) -> Activation:
        """See `Context.activation`."""
        return StreamActivation(self)
