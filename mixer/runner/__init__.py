"""Run one request through a module, without a server: for the authors of modules."""

from mixer.runner.attributes import PropertyError, parse_properties
from mixer.runner.report import RunReport
from mixer.runner.run import RunPlugin, RunRequest, run_request

__all__ = [
    "PropertyError",
    "RunPlugin",
    "RunReport",
    "RunRequest",
    "parse_properties",
    "run_request",
]
