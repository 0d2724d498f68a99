"""mixer.admin.v1.Admin on grpc.aio, at an address of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio

from mixer.api import admin, ext_authz
from mixer.config import MixerSpec
from mixer.engine import Decision, Engine, Request
from mixer.telemetry.decision_log import Masking, Recent, entry_of
from mixer.transport.caller import Context, caller_of
from mixer.transport.grpc_options import server_options
from mixer.transport.listening import UNIX, ListenError
from mixer.transport.waiting import patience, settled

STOPPING = "the service is stopping"

_FIELD = "spec.admin.address"
_MOST_AT_ONCE = 16
_LAST_S = 1.0


def handler(
    engine: Engine, recent: Recent | None, masking: Masking, stopping: asyncio.Event
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler.

    Args:
        engine: Decides.
        recent: Decisions that were made; None where none are remembered.
        masking: Of what adapters looked at.
        stopping: Set when the service stops: who waits for a decision then is told.
    """

    async def explain(data: bytes, context: Context) -> bytes:
        try:
            asked = admin.decode(data, caller_of(context))
        except admin.MalformedRequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if isinstance(asked, admin.ById):
            found = [] if recent is None else recent.find(asked.id)
            return admin.encode_found(found)
        decision = await _decided(engine, asked, context, stopping)
        if decision is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, STOPPING)
        sent = ext_authz.as_sent(decision)
        entry = entry_of("explain", asked, sent, masking=masking)
        return admin.encode_explained(entry, decision, admin.not_run(engine, decision))

    method = grpc.unary_unary_rpc_method_handler(explain)
    return grpc.method_handlers_generic_handler(admin.SERVICE, {admin.EXPLAIN: method})


async def _decided(
    engine: Engine, request: Request, context: Context, stopping: asyncio.Event
) -> Decision | None:
    """The decision; None if the service stops before it is made."""
    decision = engine.explain(request)
    if isinstance(decision, Decision):
        return decision
    wait = patience(context, engine.decision_timeout)
    made = asyncio.ensure_future(settled(decision, wait, lambda _given_up: None))
    stops = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((made, stops), return_when=asyncio.FIRST_COMPLETED)
        return made.result() if made.done() else None
    finally:
        made.cancel()
        stops.cancel()


@asynccontextmanager
async def admin_server(
    engine: Engine, spec: MixerSpec, recent: Recent | None
) -> AsyncIterator[str | None]:
    """Answer as long as it is entered; gives the address, None where none is configured.

    Raises:
        ListenError: The address is in use, or not allowed.
    """
    address = spec.admin.address
    if address is None:
        yield None
        return
    asked = spec.telemetry.decision_log
    masking = Masking(() if asked is None else asked.secrets)
    stopping = asyncio.Event()
    server = grpc.aio.server(
        maximum_concurrent_rpcs=_MOST_AT_ONCE, options=server_options(spec.limits)
    )
    server.add_generic_rpc_handlers((handler(engine, recent, masking, stopping),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise ListenError(f"{_FIELD}: {address}: {error}") from error
    _keep_private(address)
    await server.start()
    try:
        is_socket = address.startswith(UNIX)
        yield address if is_socket else f"{address.rpartition(':')[0]}:{port}"
    finally:
        stopping.set()
        await server.stop(_LAST_S)
        _remove(address)


def _keep_private(address: str) -> None:
    """Let this user alone connect to a socket."""
    if address.startswith(UNIX):
        Path(address.removeprefix(UNIX)).chmod(0o600)


def _remove(address: str) -> None:
    if address.startswith(UNIX):
        Path(address.removeprefix(UNIX)).unlink(missing_ok=True)
