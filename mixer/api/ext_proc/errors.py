"""Where ext_proc comes to an end."""


class ProtocolError(Exception):
    """A message is malformed, illegal where it comes, or asks for what is not supported.

    Args:
        reason: A short word for logs.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InexpressibleError(Exception):
    """An adapter did what no answer of ext_proc can say, in the mode that the filter is in.

    Args:
        reason: A short word for logs.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
