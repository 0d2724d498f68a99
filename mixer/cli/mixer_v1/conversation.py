"""What the three commands do alike."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import typer

from mixer.attributes import Value
from mixer.cli.failure import USAGE, fail
from mixer.cli.mixer_v1.attributes import ATTRIBUTES, InputError, parse_attributes, type_notes
from mixer.cli.mixer_v1.calls import Calls, MixerAddress, Pace
from mixer.cli.mixer_v1.failures import advice
from mixer.cli.mixer_v1.options import Asking
from mixer.cli.mixer_v1.requests import Subject
from mixer.cli.mixer_v1.summary import summarize
from mixer.cli.mixer_v1.syntax import BOOL, format_value, kind_of
from mixer.client.channel import secured
from mixer.client.target import check_target
from mixer.client.tls import TlsSettings

if TYPE_CHECKING:
    import grpc
    from rich.table import Table

    from mixer.client.channel import Option

_REFUSED = 1
_NOT_ANSWERED = 3
_INTERRUPTED = 130


@contextmanager
def usable(command: str) -> Iterator[None]:
    """End the command where its options cannot be used."""
    try:
        yield
    except InputError as error:
        fail(f"{command}: {error}", USAGE)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One run of one of the commands.

    Attributes:
        command: That was given.
        ask: Its options.
        subject: What is asked or told about.
        server: Where the calls go.
        shows_answer: Whether the first answer is printed.
    """

    command: str
    ask: Asking
    subject: Subject
    server: MixerAddress
    shows_answer: bool

    @classmethod
    def of(cls, command: str, ask: Asking) -> Self:
        """Read the options. Raises InputError."""
        try:
            shows_answer = bool(BOOL.read(ask.print_response))
        except ValueError as error:
            raise InputError(f"--print_response: {error}") from None
        try:
            check_target(ask.mixer)
        except ValueError as error:
            raise InputError(f"--mixer: {error}") from None
        server = MixerAddress(ask.mixer, *_secured(ask))
        attributes = _attributes(ask)
        for note in type_notes(attributes):
            print(f"{command}: note: {note}", file=sys.stderr)
        subject = Subject(attributes, ask.global_dictionary)
        return cls(command, ask, subject, server, shows_answer)

    @property
    def pace(self) -> Pace:
        """How calls follow one another."""
        return Pace(self.ask.timeout, self.ask.rate if self.ask.rate > 0 else None)

    def print_json(self, done: Calls, answer: Mapping[str, Any] | None) -> None:
        """Print everything as one document."""
        document = {
            "mixer": self.ask.mixer,
            "attributes": {
                name: {"type": kind_of(value), "value": format_value(value)}
                for name, value in self.subject.attributes.items()
            },
            "answer": answer if self.shows_answer else None,
            "summary": summarize(done).as_json(),
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))

    def print_tables(self, done: Calls, answer: "Sequence[Table]") -> None:
        """Print the tables of the first answer, and what many calls came to."""
        from mixer.cli.mixer_v1.tables import show, summary_table

        summary = summarize(done)
        summed_up = summary.calls > 1 or (summary.answered and not answer)
        show([*answer, *([summary_table(summary)] if summed_up else ())])

    def end(self, done: Calls) -> NoReturn:
        """Say on standard error what failed, and end the command with its status."""
        tally = done.tally
        for failure, _ in tally.failures.values():
            said = advice(failure, self.ask.mixer, self.ask.timeout)
            print(f"{self.command}: {said}", file=sys.stderr)
        if done.interrupted:
            raise typer.Exit(_INTERRUPTED)
        if tally.failures:
            raise typer.Exit(_NOT_ANSWERED)
        raise typer.Exit(_REFUSED if tally.refused else 0)


def _secured(ask: Asking) -> "tuple[grpc.ChannelCredentials | None, tuple[Option, ...]]":
    given = (ask.ca_file, ask.cert_file, ask.key_file, ask.server_name)
    if not ask.tls and not any(given):
        return None, ()
    if (ask.cert_file is None) != (ask.key_file is None):
        raise InputError("--cert-file and --key-file must be given together")
    tls = TlsSettings(
        ca_file=ask.ca_file,
        cert_file=ask.cert_file,
        key_file=ask.key_file,
        server_name=ask.server_name,
    )
    try:
        return secured(tls)
    except ValueError as error:
        raise InputError(str(error)) from None


def _attributes(ask: Asking) -> dict[str, Value]:
    given = parse_attributes({name: getattr(ask, name) or () for name in ATTRIBUTES})
    if ask.file is None:
        return given
    from mixer.cli.mixer_v1.attribute_file import read_attributes

    return read_attributes(ask.file) | given
