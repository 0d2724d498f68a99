"""What is new of the changes of headers, for a caller that is told of them step by step."""

from mixer.attributes import HeaderChange, HeaderMap


class ToldChanges:
    """Remembers what a caller was told.

    Args:
        source_is_complete: See `mixer.attributes.HeaderMap.changes`.
    """

    __slots__ = ("_source_is_complete", "_told")

    def __init__(self, *, source_is_complete: bool = True) -> None:
        self._source_is_complete = source_is_complete
        self._told: dict[bytes, tuple[bytes, ...]] = {}

    def news(self, headers: HeaderMap) -> tuple[HeaderChange, ...]:
        """What differs from the original headers with everything that was told before."""
        found = headers.changes(source_is_complete=self._source_is_complete)
        if not self._told:
            self._told = {change.name: change.values for change in found}
            return found
        now = {change.name: change.values for change in found}
        before, self._told = self._told, now
        news = [change for change in found if before.get(change.name) != change.values]
        undone = (name for name in before if name not in now)
        news += [HeaderChange(name, headers.original(name)) for name in undone]
        return tuple(news)
