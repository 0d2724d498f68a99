"""Telling adapters of requests that are over.

As at the end of a stream in Envoy, an adapter is asked to log it (``proxy_on_log``). Its context
never saw the request pass, so that no other callback but those of a context's life is made; an
access logger is asked in its root context, and there are none at all.
"""

from collections.abc import Iterable

from mixer.engine.adapter import Adapter
from mixer.engine.durable import Recorded
from mixer.engine.failure import AdapterFailure
from mixer.engine.record import Record
from mixer.engine.sees import Sees
from mixer.engine.selection import Selector, Slot
from mixer.proxywasm import HttpMessage, HttpStream
from mixer.vm import TrapError


def loggers(slots: Iterable[Slot]) -> Selector:
    """Those whose module logs, and may."""
    return Selector([slot for slot in slots if Sees.LOG in slot.adapter.sees])


def report(selector: Selector, record: Record, recorded: Recorded | None = None) -> tuple[str, ...]:
    """Tell adapters of a record; what one of them does harms no other.

    Args:
        selector: Which adapters.
        record: The record.
        recorded: Told what they recorded of it in the ledger.

    Returns:
        The names of those that failed, and may not be passed over.
    """
    failed: tuple[str, ...] = ()
    for adapter in selector.select(record.attributes):
        stream = stream_of(record)
        try:
            _log(adapter, stream)
            continue
        except AdapterFailure as failure:
            adapter.note_failure(failure.reason)
        except TrapError as trap:
            adapter.crashed(trap)
        finally:
            if recorded is not None:
                _note(recorded, adapter, stream)
        if not adapter.fails_open:
            failed += (adapter.name,)
    return failed


def _log(adapter: Adapter, stream: HttpStream) -> None:
    adapter.stats.reports += 1
    context = adapter.open_log(stream)
    context.log_stream()
    context.delete()


def _note(recorded: Recorded, adapter: Adapter, stream: HttpStream) -> None:
    if stream.tickets is not None:
        recorded.add((adapter, tickets) for tickets in stream.tickets.values())
    if stream.unrecorded:
        recorded.refused(adapter)


def stream_of(record: Record) -> HttpStream:
    """A stream of its own for each adapter: what one sets is nothing to another one."""
    response = record.response_headers
    return HttpStream(
        HttpMessage(record.headers),
        record.attributes,
        None if response is None else HttpMessage(response, trailers=record.response_trailers),
        recorded=True,
    )
