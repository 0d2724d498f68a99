"""The protocols by which proxies ask and tell over gRPC."""

from collections.abc import Callable
from typing import NamedTuple

import grpc  # noqa: TC002 - of an alias that others read

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

MakeHandler = Callable[[Engine, Shedder | None], "grpc.GenericRpcHandler[bytes, bytes]"]


class FrontEnd(NamedTuple):
    """One gRPC service.

    Attributes:
        service: Its full name, also for health and reflection.
        handler: Makes what serves it, a generic handler: see `mixer.transport.wait_probe`.
    """

    service: str
    handler: MakeHandler


FRONT_ENDS = (
    FrontEnd(ext_authz.SERVICE, authorization.handler),
    FrontEnd(ext_proc.SERVICE, external_processor.handler),
    FrontEnd(mixer_v1.SERVICE, mixer_service.handler),
    FrontEnd(rate_limit_api.SERVICE, rate_limit.handler),
    FrontEnd(rlqs.SERVICE, quota_service.handler),
    FrontEnd(network_ext_proc.SERVICE, network_service.handler),
    FrontEnd(access_log.SERVICE, access_log_service.handler),
    FrontEnd(otlp_logs.SERVICE, otlp_logs_service.handler),
)
"""Every one that a gRPC listener has."""

SERVICES = tuple(one.service for one in FRONT_ENDS)
