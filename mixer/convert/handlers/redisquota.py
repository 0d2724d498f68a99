"""``redisquota``: quotas that several Mixers keep in one Redis."""

import re
from collections.abc import Mapping

from mixer.convert.findings import LostError
from mixer.convert.handlers.quota import Quota, convert_quotas, read_quotas
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.workshop import Use, Workshop

_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_ALGORITHMS = ("FIXED_WINDOW", "ROLLING_WINDOW")


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter, and the settings of the service's store. Raises LostError."""
    params = handler.params()
    quotas = read_quotas(params)
    _read_algorithms(quotas, handler, workshop)
    server = params.text("redisServerUrl", "localhost:6379")
    if not _SERVER.fullmatch(server):
        raise LostError(params.where("redisServerUrl"), "must be host:port")
    if params.has("connectionPoolSize"):
        params.whole("connectionPoolSize", 10)
        message = "a worker has one connection for its state"
        workshop.differs(handler, params.where("connectionPoolSize"), message)
    params.finish(workshop.findings)
    outputs = convert_quotas(handler, uses, quotas, lambda _one, quota: quota.window, workshop)
    if not outputs:
        return []
    message = "all state that adapters share is on this server, not only that of quotas"
    workshop.differs(handler, params.where("redisServerUrl"), message)
    store = {"state": {"store": {"redis": {"url": f"redis://{server}"}}}}
    return [*outputs, Output("Mixer", "mixer", "", store)]


def _read_algorithms(quotas: Mapping[str, Quota], handler: Part, workshop: Workshop) -> None:
    for quota in quotas.values():
        params = quota.params
        params.span("bucketDuration")
        if params.choice("rateLimitAlgorithm", _ALGORITHMS) == "ROLLING_WINDOW":
            message = "windows do not roll: FIXED_WINDOW here, twice the amount around its end"
            workshop.differs(handler, params.where("rateLimitAlgorithm"), message)
