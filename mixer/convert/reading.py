"""Finding and reading the files of a Mixer configuration."""

import os
from collections.abc import Iterator
from pathlib import Path

from mixer.config.document import Document, compose
from mixer.config.problem import ConfigError, Problem
from mixer.config.source import Source, read_source

MAX_FILES = 2000
_SUFFIXES = frozenset({".yaml", ".yml"})


def read(path: Path) -> list[Document]:
    """All documents of a file, or of a folder and the folders in it.

    Raises:
        ConfigError: A file cannot be read, or is no YAML.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for file in _files(path):
        source = read_source(file)
        if isinstance(source, Problem):
            problems.append(source)
            continue
        found, wrong = compose(source.text, source.file)
        documents += (item for one in found for item in _items(one))
        problems += (_with_hint(one, source) for one in wrong)
    if problems:
        raise ConfigError(problems)
    return documents


def _files(path: Path) -> list[Path]:
    """Hidden files and folders are left out, and links to folders are not followed."""
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_unreadable):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        yaml = (one for one in sorted(names) if Path(one).suffix in _SUFFIXES)
        found += (Path(folder, one) for one in yaml if not one.startswith("."))
        if len(found) > MAX_FILES:
            message = f"has over {MAX_FILES} YAML files: convert one part after the other"
            raise ConfigError([Problem(str(path), 0, "", message)])
    return found


def _unreadable(error: OSError) -> None:
    message = f"cannot be read: {error.strerror or error}"
    raise ConfigError([Problem(str(error.filename), 0, "", message)])


def _items(document: Document) -> Iterator[Document]:
    """The document itself, or the items of what ``kubectl get -o yaml`` prints."""
    data = document.data
    if not isinstance(data, dict) or data.get("kind") != "List":
        yield document
        return
    items = data.get("items")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        yield document.item(("items", index), item)


def _with_hint(problem: Problem, source: Source) -> Problem:
    if "{{" not in source.text:
        return problem
    hint = "; is it a Helm template? write it out first, with `helm template`"
    return Problem(problem.file, problem.line, problem.field, problem.message + hint)
