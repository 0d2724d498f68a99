"""What a front end asks the engine."""

from dataclasses import dataclass

from mixer.attributes import AttributeBag, HeaderMap

BODY_WITHHELD = {b"mixer.body_withheld": b"true"}
"""A property of requests that have a body which the caller does not show.

The callback for headers says that a body follows, and none does: whoever lets headers go on in
order to look at the body has to refuse them instead.
"""


@dataclass(slots=True)
class Request:
    """One HTTP request to decide about.

    Attributes:
        headers: Its headers; adapters change this map.
        attributes: What else the front end knows.
        body: Its body as far as the caller sent it, or None where the caller sent none.
        has_body: Whether the request has a body, be it sent to us or not.
        body_complete: Whether `body` is all of it.
        headers_are_complete: Whether `headers` are all of them; a proxy may withhold some.
    """

    headers: HeaderMap
    attributes: AttributeBag
    body: bytes | None = None
    has_body: bool = False
    body_complete: bool = True
    headers_are_complete: bool = True
