"""Envoy's access logs: envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs."""

from mixer.api.access_log.stream import AccessLogs, Entries, MalformedMessageError

SERVICE = "envoy.service.accesslog.v3.AccessLogService"
METHOD = "StreamAccessLogs"

__all__ = ["METHOD", "SERVICE", "AccessLogs", "Entries", "MalformedMessageError"]
