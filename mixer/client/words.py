"""How many words of the global dictionary the server knows."""

import re
from collections.abc import Mapping

from mixer.attributes import Value
from mixer.client.results import INTERNAL, INVALID_ARGUMENT
from mixer.client.retry import Failure
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList, compress
from mixer.wire.dictionary import WORDS

_FIRST_VERSION = 111
"""Words of the first dictionary, which every server knows."""

_KNOWS = re.compile(r"inconsistent global dictionary versions used: mixer knows ([0-9]{1,6}) words")
_INVALID = "Request could not be processed due to invalid"


class KnownWords:
    """Starts with all words that this client knows, and has fewer once the server says so.

    Attributes:
        count: Of words that need not be sent.
    """

    def __init__(self) -> None:
        self.count = len(WORDS)

    def compress(self, attributes: Mapping[str, Value]) -> pb.CompressedAttributes:
        """Encode the attributes of one request.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, or a text is not Unicode.
        """
        words = WordList(self.count)
        message = compress(attributes, words)
        message.words.extend(words.words)
        return message

    def too_many(self, failure: Failure, sent: int) -> bool:
        """Whether a call failed since the server knows fewer words; then no more are used.

        Both Mixer's message and the one that Istio's client waits for are understood.

        Args:
            failure: Of the call.
            sent: How many words the call counted on.
        """
        told = sent
        if failure.code == INTERNAL and (match := _KNOWS.match(failure.message)):
            told = int(match[1])
        elif failure.code == INVALID_ARGUMENT and failure.message.startswith(_INVALID):
            told = _FIRST_VERSION
        if told < sent:
            self.count = min(self.count, told)
        return told < sent
