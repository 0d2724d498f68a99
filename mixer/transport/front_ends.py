"""The protocols by which proxies ask and tell over gRPC."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import grpc  # noqa: TC002 - of an alias that others read
from google.rpc import code_pb2

from mixer.api import (
    access_log,
    ext_authz,
    ext_proc,
    mixer_v1,
    network_ext_proc,
    otlp_logs,
    rlqs,
)
from mixer.api import rate_limit as rate_limit_api
from mixer.engine import Engine
from mixer.shedding import Shedder
from mixer.transport import access_log as access_log_service
from mixer.transport import authorization, rate_limit
from mixer.transport import ext_proc as external_processor
from mixer.transport import mixer_v1 as mixer_service
from mixer.transport import network_ext_proc as network_service
from mixer.transport import otlp_logs as otlp_logs_service
from mixer.transport import rlqs as quota_service
from mixer.transport.allow_list import NOT_ALLOWED

MakeHandler = Callable[[Engine, Shedder | None], "grpc.GenericRpcHandler[bytes, bytes]"]

_FORBIDDEN = 403


class FrontEnd(NamedTuple):
    """One gRPC service.

    Attributes:
        service: Its full name, also for health and reflection.
        handler: Makes what serves it, a generic handler: see `mixer.transport.wait_probe`.
        denials: By method, the message that a caller gets who may not ask. A method that is not
            here ends with PERMISSION_DENIED: only where no proxy takes that for an allow.
    """

    service: str
    handler: MakeHandler
    denials: Mapping[str, bytes] = MappingProxyType({})


FRONT_ENDS = (
    FrontEnd(
        ext_authz.SERVICE,
        authorization.handler,
        {ext_authz.METHOD: ext_authz.refuse(NOT_ALLOWED, status=_FORBIDDEN)},
    ),
    FrontEnd(
        ext_proc.SERVICE,
        external_processor.handler,
        {ext_proc.METHOD: ext_proc.refuse(NOT_ALLOWED, _FORBIDDEN)},
    ),
    FrontEnd(
        mixer_v1.SERVICE,
        mixer_service.handler,
        {
            mixer_v1.CHECK: mixer_v1.refuse_check(
                NOT_ALLOWED, code=code_pb2.PERMISSION_DENIED, status=_FORBIDDEN
            )
        },
    ),
    FrontEnd(
        rate_limit_api.SERVICE,
        rate_limit.handler,
        {rate_limit_api.METHOD: rate_limit_api.refuse(NOT_ALLOWED)},
    ),
    FrontEnd(rlqs.SERVICE, quota_service.handler),
    FrontEnd(
        network_ext_proc.SERVICE,
        network_service.handler,
        {network_ext_proc.METHOD: network_ext_proc.CLOSE},
    ),
    FrontEnd(access_log.SERVICE, access_log_service.handler),
    FrontEnd(otlp_logs.SERVICE, otlp_logs_service.handler),
)
"""Every one that a gRPC listener has."""

SERVICES = tuple(one.service for one in FRONT_ENDS)
