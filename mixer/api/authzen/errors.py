"""What callers can do wrong."""


class MalformedError(ValueError):
    """What was sent is no request; the message says what is wrong with which part."""
