"""The messages that the commands send."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mixer.attributes import Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import compress
from mixer.wire.dictionary import WORDS, WordList


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked or told about.

    Attributes:
        attributes: By name.
        global_dictionary: Whether words of the global dictionary are sent as its indices. As
            ``mixc`` does not, every Mixer understands it.
    """

    attributes: Mapping[str, Value]
    global_dictionary: bool = False

    @property
    def global_word_count(self) -> int:
        """How many words of the global dictionary the messages may use."""
        return len(WORDS) if self.global_dictionary else 0

    def compressed(self) -> tuple[pb.CompressedAttributes, list[str]]:
        """The attributes, and the words that they use."""
        words = WordList(self.global_word_count)
        return compress(self.attributes, words), words.words


def check_request(
    subject: Subject, quotas: Mapping[str, int], *, best_effort: bool
) -> pb.CheckRequest:
    """Ask for a verdict, and for quotas if it is OK; without deduplication id."""
    attributes, words = subject.compressed()
    attributes.words.extend(words)
    request = pb.CheckRequest(attributes=attributes, global_word_count=subject.global_word_count)
    for name, amount in quotas.items():
        request.quotas[name].amount = amount
        request.quotas[name].best_effort = best_effort
    return request


def report_requests(subject: Subject, records: int, batch: int) -> Iterator[pb.ReportRequest]:
    """Tell the same record several times, in as few messages as ``batch`` allows."""
    whole, rest = divmod(records, batch)
    full = _report_request(subject, batch) if whole else None
    for _ in range(whole):
        assert full is not None
        yield full
    if rest:
        yield _report_request(subject, rest)


def _report_request(subject: Subject, records: int) -> pb.ReportRequest:
    attributes, words = subject.compressed()
    return pb.ReportRequest(
        attributes=[attributes] * records,
        default_words=words,
        global_word_count=subject.global_word_count,
        repeated_attributes_semantics=pb.ReportRequest.INDEPENDENT_ENCODING,
    )
