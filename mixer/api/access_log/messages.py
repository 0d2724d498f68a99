"""The messages of access logs, with entries left as bytes and texts of any bytes."""

from typing import Any

from envoy.service.accesslog.v3 import als_pb2

from mixer.wire.twins import leave_bytes, twins

_SERVICE = "envoy.service.accesslog.v3.StreamAccessLogsMessage"
_DATA = "envoy.data.accesslog.v3"

_classes = twins(
    als_pb2.DESCRIPTOR,
    leave_bytes(
        f"{_SERVICE}.HTTPAccessLogEntries.log_entry", f"{_SERVICE}.TCPAccessLogEntries.log_entry"
    ),
)

Message: Any = _classes[_SERVICE]
HttpEntry: Any = _classes[f"{_DATA}.HTTPAccessLogEntry"]
TcpEntry: Any = _classes[f"{_DATA}.TCPAccessLogEntry"]
