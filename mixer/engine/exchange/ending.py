"""The end of a stream in its adapters."""

from collections.abc import Mapping

from mixer.engine.adapter import Adapter
from mixer.proxywasm import StreamContext
from mixer.vm import TrapError


def end_streams(contexts: Mapping[Adapter, StreamContext]) -> None:
    """Log the stream in every adapter, then delete it in each; a trap harms no other adapter."""
    for end in (StreamContext.log_stream, StreamContext.delete):
        for adapter, context in contexts.items():
            if context.vm.closed:
                continue
            try:
                end(context)
            except TrapError as trap:
                adapter.crashed(trap)
