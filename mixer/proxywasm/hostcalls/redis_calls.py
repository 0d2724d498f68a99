"""Redis callouts, of Higress's ABI."""

from mixer.callouts.ports import NotSentError, RedisTarget, UnknownClusterError
from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.http_calls import bad_argument
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.proxywasm.vm_callouts import UnknownRedisError

MAX_LOGIN_BYTES = 4096
"""Of service, user and password together: they are kept for as long as the VM lives."""

_INIT, _CALL = "proxy_redis_init", "proxy_redis_call"


def redis_init(
    context: Context,
    service: int,
    service_size: int,
    username: int,
    username_size: int,
    password: int,
    password_size: int,
    timeout: int,
) -> int:
    """``proxy_redis_init``: name a server and the login; the connection is made later."""
    context.require_started()
    note_volatile(context)
    taken = take(context, service, service_size, username, username_size, password, password_size)
    if taken is None:
        return refuse(context, _INIT, "the stream handed over too much")
    if not timeout:
        return bad_argument(context, _INIT, "timeout 0 ms")
    if sum(map(len, taken)) > MAX_LOGIN_BYTES:
        return bad_argument(context, _INIT, f"the login has over {MAX_LOGIN_BYTES} bytes")
    name, user, secret = (one.decode("utf-8", "replace") for one in taken)
    try:
        context.vm.callouts.redis_init(RedisTarget(name, user, secret, timeout / 1000))
    except (UnknownClusterError, ValueError) as error:
        return bad_argument(context, _INIT, str(error))
    except NotSentError as error:
        return refuse(context, _INIT, str(error))
    return Status.OK


def redis_call(
    context: Context, service: int, service_size: int, query: int, query_size: int, token: int
) -> int:
    """``proxy_redis_call``: told to the plugin by ``proxy_on_redis_call_response``."""
    context.require_started()
    taken = take(context, service, service_size, query, query_size)
    context.vm.instance.memory.write_u32(token, 0)
    if taken is None:
        return refuse(context, _CALL, "the stream handed over too much")
    note_volatile(context)
    name, commands = taken
    if len(name) > MAX_LOGIN_BYTES:
        return bad_argument(context, _CALL, f"the service has over {MAX_LOGIN_BYTES} bytes")
    try:
        number = context.vm.callouts.redis_call(
            context.root, name.decode("utf-8", "replace"), commands
        )
    except (UnknownRedisError, ValueError) as error:
        return bad_argument(context, _CALL, str(error))
    except NotSentError as error:
        return refuse(context, _CALL, str(error))
    context.vm.instance.memory.write_u32(token, number)
    return Status.OK


CALLS = (
    HostCall(_INIT, "iiiiiii", redis_init),
    HostCall(_CALL, "iiiii", redis_call),
)
