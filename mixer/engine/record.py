"""A request that is over, of which a proxy tells."""

from dataclasses import dataclass

from mixer.attributes import AttributeBag, HeaderMap


@dataclass(slots=True)
class Record:
    """What adapters log and count.

    Attributes:
        headers: Of the request.
        attributes: What else the front end knows, of the response too.
        response_headers: None where there was no response, or nothing is known of them.
        response_trailers: None where there were none.
    """

    headers: HeaderMap
    attributes: AttributeBag
    response_headers: HeaderMap | None = None
    response_trailers: HeaderMap | None = None
