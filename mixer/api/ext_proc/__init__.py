"""Envoy's external processing: envoy.service.ext_proc.v3.ExternalProcessor/Process."""

from mixer.api.ext_proc.process import Ended, ProcessStream
from mixer.api.ext_proc.responses import refuse

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
METHOD = "Process"

MODE_OVERRIDE = "x-mixer-mode-override"
"""Initial metadata of a filter with ``allow_mode_override: true``: ``allowed``."""

__all__ = ["METHOD", "MODE_OVERRIDE", "SERVICE", "Ended", "ProcessStream", "refuse"]
