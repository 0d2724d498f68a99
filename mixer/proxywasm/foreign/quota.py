"""``mixer_quota_take``: of several limits at once, all or nothing, from counters that are shared.

An extension of this host: where it is not there, such as in Envoy, a module is told NOT_FOUND. The
messages are those of ``proto/mixer/quota/v1/quota.proto``.
"""

from functools import lru_cache

from google.protobuf.message import DecodeError

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.hostcalls.http_calls import bad_argument
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.taking import note_volatile
from mixer.proxywasm.vm_takes import MAX_OPEN_TAKES
from mixer.state.quota import Algorithm, Answer, Charge, Take, check
from mixer.wire.quota_pb2 import TakeRequest, TakeResponse

_CALL = "mixer_quota_take"
_MAX_BYTES = 16_384
"""Of a request: twice what all that it may have takes, since what has more is not even read."""
_MAX_KNOWN_BYTES = 512
_ALGORITHMS = {int(one): one for one in Algorithm}


def quota_take(context: Context, arguments: bytes) -> bytes | Status:
    """Answer at once, or by ``proxy_on_foreign_function`` with the number that is told now."""
    note_volatile(context)
    try:
        take = _known(arguments) if len(arguments) <= _MAX_KNOWN_BYTES else _read(arguments)
    except ValueError as error:
        return bad_argument(context, _CALL, str(error))
    vm = context.vm
    if vm.takes.is_full:
        return refuse(context, _CALL, f"{MAX_OPEN_TAKES} takes of the VM wait for an answer")
    answer = vm.services.quotas.take(vm.vm_id, take)
    if isinstance(answer, Answer):
        return _encode(answer)
    if not vm.callbacks.makes("on_foreign_function"):
        answer.cancel()
        return refuse(context, _CALL, "the answer comes later, and proxy_on_foreign_function is not"
                      " there or not among the adapter's allowed capabilities")  # fmt: skip
    number = vm.takes.keep(context, answer, _encode)
    return TakeResponse(pending=number).SerializeToString()


def _read(data: bytes) -> Take:
    """Raises ValueError where the bytes are no TakeRequest, or one that is out of bounds."""
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{len(data)} bytes: must be at most {_MAX_BYTES}")
    try:
        request = TakeRequest.FromString(data)
    except DecodeError:
        raise ValueError("it is no mixer.quota.v1.TakeRequest") from None
    take = Take(
        tuple([
            Charge(
                one.key,
                _algorithm(one.algorithm),
                one.limit,
                one.window_ns,
                one.burst,
                one.cost,
                one.shadow,
            )
            for one in request.charges
        ]),
        request.best_effort,
        request.dedup_id,
        request.dedup_window_ns,
    )  # fmt: skip
    check(take)
    return take


_known = lru_cache(1024)(_read)
"""A tenant who asks again sends the same bytes; small ones, so that what is kept is bounded."""


def _algorithm(number: int) -> Algorithm:
    found = _ALGORITHMS.get(number)
    if found is None:
        raise ValueError(f"algorithm {number}: must be one of {sorted(_ALGORITHMS)}")
    return found


def _encode(answer: Answer) -> bytes:
    response = TakeResponse(local=answer.local)
    for granted, refused, remaining, reset_ns, retry_after_ns in answer.standings:
        response.standings.add(
            granted=granted,
            refused=refused,
            remaining=remaining,
            reset_ns=reset_ns,
            retry_after_ns=retry_after_ns,
        )
    return response.SerializeToString()


FUNCTIONS: dict[str, ForeignFunction] = {_CALL: quota_take}
