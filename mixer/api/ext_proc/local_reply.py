"""Responses without a request: a filter before this one answered.

A filter that is not sent the headers of requests sees the same, and there every request would pass
without any adapter having seen it. What came from an upstream tells the two apart.
"""

from mixer.api.ext_proc.errors import ProtocolError
from mixer.attributes import AttributeBag, HeaderMap

_OF_UPSTREAMS = b"x-envoy-upstream-service-time"
_DETAILS = "via_upstream"


def check_is_local(headers: HeaderMap, attributes: AttributeBag) -> None:
    """Make sure that Envoy itself made a response.

    Raises:
        ProtocolError: An upstream made it.
    """
    from_upstream = headers.first(_OF_UPSTREAMS) is not None
    details = attributes.get("response.code_details")
    if from_upstream or details == _DETAILS or attributes.get("upstream.address") is not None:
        raise ProtocolError("response_headers_without_request_headers")
