"""The answers to an Export.

Source: the OTLP specification 1.9, "Partial Success" and "OTLP/gRPC Throttling".
"""

import math

from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

ACCEPTED = b""
"""Every record was taken."""

_MS_IN_S = 1000
_NS_IN_MS = 1_000_000


def encode_rejected(number: int, why: str) -> bytes:
    """Some records were not taken; nobody is to send them again.

    Args:
        number: How many.
        why: For people.
    """
    response = logs_service_pb2.ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = number
    response.partial_success.error_message = why
    return bytes(response.SerializeToString())


def encode_retry(message: str, seconds: float) -> bytes:
    """The details of a status that says when to send all of it again (``google.rpc.Status``).

    Args:
        message: Of the status.
        seconds: Until then.
    """
    whole, milliseconds = divmod(math.ceil(seconds * _MS_IN_S), _MS_IN_S)
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds, retry.retry_delay.nanos = whole, milliseconds * _NS_IN_MS
    details = any_pb2.Any()
    details.Pack(retry)
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=message, details=[details])
    return bytes(status.SerializeToString())
