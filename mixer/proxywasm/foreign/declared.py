"""``declare_property``: the type of a property that the plugin will set."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.filter_state import Prototype, StateType
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.foreign.messages import DeclarePropertyArguments, parse
from mixer.proxywasm.hostcalls.refusal import refuse

MAX_PROPERTIES = 1024
"""That one context declares."""

MAX_DECLARED_BYTES = 1 << 20
"""Of their names and schemas together."""

_TYPES = {int(kind): kind for kind in StateType}


def declare_property(context: Context, arguments: bytes) -> Status:
    """Declare it once for each context; only what a plugin's root context declares has an effect.

    How long the value would live matters not: nothing here outlives its request.
    """
    message = parse(DeclarePropertyArguments, arguments)
    if message is None:
        return Status.BAD_ARGUMENT
    prototypes = context.vm.current.prototypes
    name = message.name.encode()
    if name in prototypes:
        return Status.BAD_ARGUMENT
    if len(prototypes) >= MAX_PROPERTIES:
        return refuse(context, "declare_property", f"over {MAX_PROPERTIES} are declared")
    size = sum(len(path) + len(one.schema) for path, one in prototypes.items())
    if size + len(name) + len(message.schema) >= MAX_DECLARED_BYTES:
        return refuse(context, "declare_property", f"they have over {MAX_DECLARED_BYTES} bytes")
    kind = _TYPES.get(message.type, StateType.BYTES)
    prototypes[name] = Prototype(kind, message.readonly, message.schema)
    return Status.OK


FUNCTIONS: dict[str, ForeignFunction] = {"declare_property": declare_property}
