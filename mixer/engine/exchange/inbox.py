"""What has come of a message to one place of a chain."""

from dataclasses import dataclass


@dataclass(slots=True)
class Inbox:
    """What was not taken further yet.

    Attributes:
        headers: Whether the headers are here.
        body: What there is of the body.
        has_body: Whether there is a piece of it, be it empty.
        trailers: Whether the trailers are here.
        end: Whether nothing comes after what is here.
    """

    headers: bool = False
    body: bytes = b""
    has_body: bool = False
    trailers: bool = False
    end: bool = False

    def add(self, data: bytes) -> None:
        """Put a piece of the body behind what is here."""
        self.body += data
        self.has_body = True

    def take_body(self) -> bytes:
        """Take what there is of the body."""
        body, self.body, self.has_body = self.body, b"", False
        return body

    @property
    def ends_with_headers(self) -> bool:
        """Whether the message has nothing but headers."""
        return self.end and not self.has_body and not self.trailers

    @property
    def ends_with_body(self) -> bool:
        """Whether the last piece of the body ends the message."""
        return self.end and not self.trailers
