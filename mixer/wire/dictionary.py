"""The words that Mixer's callers do not send: Istio's global dictionary.

Source: the file ``global_dictionary.yaml`` of Istio's API; words are only ever appended.
"""

from importlib.resources import files

WORDS = tuple(files(__package__).joinpath("global_dictionary.txt").read_text("utf-8").split("\n"))[
    :-1
]
"""By index."""

INDICES = {word: index for index, word in enumerate(WORDS)}
"""By word; a word that is there twice has its last index, as Istio's programs have it."""


class WordList:
    """Gives words their indices, and keeps those that the global dictionary lacks.

    Args:
        known: How many words of the global dictionary the other side knows.

    Attributes:
        words: The words of the message, in the order of their indices -1, -2, ...
    """

    __slots__ = ("_indices", "_known", "words")

    def __init__(self, known: int = len(WORDS)) -> None:
        self._known = known
        self.words: list[str] = []
        self._indices: dict[str, int] = {}

    def index(self, word: str) -> int:
        """The index of a word, new or not.

        Raises:
            TypeError: It is no text.
            ValueError: It is not Unicode.
        """
        index = INDICES.get(word)
        return index if index is not None and index < self._known else self._own(word)

    def key_index(self, word: str) -> int:
        """The same, but never 0, which as the key of a map means that there is none."""
        return self.index(word) or self._own(word)

    def _own(self, word: str) -> int:
        index = self._indices.get(word)
        if index is None:
            if not isinstance(word, str):
                raise TypeError(f"a word must be text, not {type(word).__name__}")
            if not word.isascii():
                word.encode()  # raises where a message could not carry it
            self.words.append(word)
            index = self._indices[word] = -len(self.words)
        return index
