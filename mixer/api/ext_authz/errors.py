"""What a CheckResponse cannot say."""


class InexpressibleError(Exception):
    """The decision holds something that a CheckResponse cannot say."""
