"""What cannot be read out of a call, or said in an answer."""


class MalformedCallError(Exception):
    """A call does not tell one request of a client."""


class InexpressibleError(Exception):
    """The decision holds something that cannot be said to this proxy."""
