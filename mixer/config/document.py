"""YAML text to plain data, with the line of every field kept beside it.

Built from the events of libyaml rather than from PyYAML's nodes: PyYAML composes by recursion in C,
where a file of open brackets overflows the stack, and it expands aliases without a bound.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from mixer.config.key import no_string
from mixer.config.problem import CONFIGURATIONS, FieldPath, Problem, field_name
from mixer.config.scalar import COLLECTION_TAGS, read_scalar

MAX_NODES = 100_000
MAX_CHARACTERS = 4 << 20
MAX_DEPTH = 64

_Event = yaml.events.Event


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, or one item of a ``List`` in it.

    Attributes:
        file: As named to ``load``.
        data: Made of dict (string keys only), list, str, int, float, bool and None.
        lines: From 1; of the key, or of the first line of a list item.
        prefix: Path from the top of the YAML document to ``data``.
    """

    file: str
    data: object = field(repr=False)
    lines: Mapping[FieldPath, int] = field(repr=False)
    prefix: FieldPath = ()

    def line(self, path: FieldPath = ()) -> int:
        """Line of a field, or of the nearest field around it that is written in the file."""
        path = self.prefix + path
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: FieldPath, message: str) -> Problem:
        """Say what is wrong with a field of this document."""
        return Problem(self.file, self.line(path), field_name(self.prefix + path), message)

    def item(self, path: FieldPath, data: object) -> "Document":
        """Make a document of a part of this one, for the items of a ``List``."""
        return Document(self.file, data, self.lines, self.prefix + path)


def compose(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """Read all documents of a file.

    What follows a syntax error is lost; documents before it are still returned, so that their
    problems are reported in the same run. Documents without content are left out.
    """
    composer = _Composer(text, file)
    documents: list[Document] = []
    try:
        documents.extend(composer.documents())
    except _RefusedError as refused:
        composer.problems.append(refused.problem)
    except yaml.MarkedYAMLError as error:
        composer.problems.append(_syntax_problem(error, file))
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        composer.problems.append(Problem(file, line, "", f"not YAML: {error.reason}"))
    return documents, composer.problems


def _line(event: _Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = " ".join(part for part in (error.context, error.problem) if part)
    return Problem(file, mark.line + 1 if mark else 0, "", f"not YAML: {what}")


class _RefusedError(Exception):
    """The rest of the file is not worth reading."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for, and what it costs to write it out once more."""

    data: object
    nodes: int
    characters: int


class _Composer:
    """Builds the documents of one file; sizes are counted with aliases written out."""

    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self._events: Iterator[_Event] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self._file = file
        self._lines: dict[FieldPath, int] = {}
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._characters = 0

    def documents(self) -> Iterator[Document]:
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            self._lines, self._anchors = {}, {}
            data = self._node(next(self._events), ())
            if data is not None:
                yield Document(self._file, data, self._lines)

    def _node(self, event: _Event, path: FieldPath) -> object:
        self._lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        nodes, characters = self._nodes, self._characters
        self._spend(event, path, 1, len(getattr(event, "value", "")))
        data = self._content(event, path)
        if anchor := getattr(event, "anchor", None):
            spent = self._nodes - nodes, self._characters - characters
            # Recorded when complete, so that an alias cannot stand inside what it stands for.
            self._anchors[anchor] = _Anchored(data, *spent)
        return data

    def _content(self, event: _Event, path: FieldPath) -> object:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if getattr(event, "tag", None) not in COLLECTION_TAGS:
            self._report(event, path, "unknown tag: only the types of JSON may be given")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _scalar(self, event: yaml.ScalarEvent, path: FieldPath) -> object:
        try:
            return read_scalar(event.value, event.tag, plain=event.implicit[0])
        except ValueError as error:
            self._report(event, path, str(error))
            return event.value

    def _sequence(self, path: FieldPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: FieldPath) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            # The mapping still has to be read to its end after a bad key.
            entry = (*path, "?" if key is None else key)
            if key is not None and key in entries:
                self._report(event, entry, f"duplicate key: first at line {self._lines[entry]}")
            self._lines.setdefault(entry, _line(event))
            value = self._node(next(self._events), entry)
            if key is not None:
                entries[key] = value
        return entries

    def _key(self, event: _Event, path: FieldPath) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
            self._report(event, path, "merge keys (<<) are not supported: write the fields out")
            return None
        key = self._node(event, (*path, "?"))
        if isinstance(key, str):
            return key
        secret = any(part in CONFIGURATIONS for part in path)
        written = event.value if isinstance(event, yaml.ScalarEvent) else None
        self._report(event, path, no_string(key, written, secret=secret))
        return None

    def _alias(self, event: yaml.AliasEvent, path: FieldPath) -> object:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            self._report(event, path, "alias of nothing before it; quote a leading '*'")
            return None
        self._spend(event, path, anchored.nodes, anchored.characters)
        return anchored.data

    def _spend(self, event: _Event, path: FieldPath, nodes: int, characters: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if len(path) > MAX_DEPTH:
            self._refuse(event, path, f"nested more than {MAX_DEPTH} levels deep")
        if self._nodes > MAX_NODES or self._characters > MAX_CHARACTERS:
            bound = f"{MAX_NODES} values or {MAX_CHARACTERS >> 20} MiB"
            self._refuse(event, path, f"the file has more than {bound}, aliases written out")

    def _report(self, event: _Event, path: FieldPath, message: str) -> None:
        line = _line(event)
        self.problems.append(Problem(self._file, line, field_name(path), message))

    def _refuse(self, event: _Event, path: FieldPath, message: str) -> None:
        line = _line(event)
        raise _RefusedError(Problem(self._file, line, field_name(path[:8]), message))
