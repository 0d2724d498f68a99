"""Run one request through a module, without a server: for the authors of modules."""

from mixer.runner.attributes import PropertyError, parse_properties
from mixer.runner.exchange import Pieces, RunResponse
from mixer.runner.plugin import RunPlugin
from mixer.runner.report import RunReport
from mixer.runner.run import RunRequest, run_request

__all__ = [
    "Pieces",
    "PropertyError",
    "RunPlugin",
    "RunReport",
    "RunRequest",
    "RunResponse",
    "parse_properties",
    "run_request",
]
