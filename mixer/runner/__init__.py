"""Run one request through a module, without a server: for the authors of modules."""

from mixer.runner.attributes import PropertyError, parse_properties
from mixer.runner.report import RunReport
from mixer.runner.run import RunRequest, run_request

__all__ = ["PropertyError", "RunReport", "RunRequest", "parse_properties", "run_request"]
