"""Istio's Mixer: istio.mixer.v1.Mixer with Check and Report."""

from mixer.api.mixer_v1.check import Check, Question, Quota, decode_check
from mixer.api.mixer_v1.errors import CallRefusedError
from mixer.api.mixer_v1.quota import Allocation, allocation, refused
from mixer.api.mixer_v1.report import Report, decode_report
from mixer.api.mixer_v1.response import as_sent, encode_check, refuse_check

SERVICE = "istio.mixer.v1.Mixer"
CHECK, REPORT = "Check", "Report"

__all__ = [
    "CHECK",
    "REPORT",
    "SERVICE",
    "Allocation",
    "CallRefusedError",
    "Check",
    "Question",
    "Quota",
    "Report",
    "allocation",
    "as_sent",
    "decode_check",
    "decode_report",
    "encode_check",
    "refuse_check",
    "refused",
]
