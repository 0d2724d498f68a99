"""What a Mixer's answer depends on: the attributes, and keys of maps, that were looked up."""

from collections.abc import Mapping

from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.dictionary import WordList

MOST_REFERENCES = 1024
"""Of one answer; one that depends on more is not for keeping."""

_Matches = pb.ReferencedAttributes
_ABSENCE, _EXACT, _REGEX = _Matches.ABSENCE, _Matches.EXACT, _Matches.REGEX
_WHOLE = None


class References:
    """Notes look-ups.

    Attributes:
        volatile: Whether the answer depends on what no reference can say.
    """

    __slots__ = ("_conditions", "volatile")

    def __init__(self) -> None:
        self._conditions: dict[tuple[str, str | None], int] = {}
        self.volatile = False

    def attribute(self, name: str, *, found: bool) -> None:
        """An attribute, or a map as far as it is absent, was looked up."""
        self._note(name, _WHOLE, _EXACT if found else _ABSENCE)

    def entry(self, name: str, key: str, *, found: bool) -> None:
        """A key of a map that is there was looked up."""
        if not key.isascii() and not _is_utf8(key):
            self.whole(name)
        else:
            self._note(name, key, _EXACT if found else _ABSENCE)

    def presence(self, name: str, texts: Mapping[str, str]) -> None:
        """Whether a map is there was asked, and it is.

        No condition says so of a map as such; that one of its keys has its value implies it.
        """
        key = min(filter(_is_utf8, texts), default="")
        if key:
            self.entry(name, key, found=True)
        else:
            self.whole(name)

    def whole(self, name: str) -> None:
        """A map that is there was read as a whole: callers do not keep such an answer."""
        self._note(name, _WHOLE, _REGEX)

    def _note(self, name: str, key: str | None, condition: int) -> None:
        if len(self._conditions) < MOST_REFERENCES:
            self._conditions[name, key] = condition
        else:
            self.volatile = True

    def write(self, message: pb.ReferencedAttributes, known_words: int) -> None:
        """Write them, in order.

        Args:
            message: Where to.
            known_words: How many words of the global dictionary the caller knows.
        """
        words = WordList(known_words)
        for (name, key), condition in sorted(self._conditions.items(), key=_order):
            match = message.attribute_matches.add()
            match.name = words.index(name)
            match.condition = condition  # type: ignore[assignment]
            if key is not None:
                match.map_key = words.key_index(key)
        message.words.extend(words.words)


def _order(item: tuple[tuple[str, str | None], int]) -> tuple[str, str]:
    (name, key), _ = item
    return name, key or ""


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
