"""Reading the YAML files that a path names."""

from dataclasses import dataclass
from pathlib import Path

from mixer.config.document import Document, compose
from mixer.config.problem import Problem

MAX_FILE_BYTES = 1 << 20
_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Source:
    """Text of one file.

    Attributes:
        file: As it is named in problems.
        text: Of the file.
        base: Absolute folder that its relative paths refer to.
    """

    file: str
    text: str
    base: Path


def yaml_files(path: Path) -> list[Path]:
    """The file itself, or all YAML files directly in a folder, sorted by name.

    Files that begin with a dot are left out: editors keep their locks there. Symbolic links are
    followed, as Kubernetes mounts a ConfigMap as links.

    Raises:
        OSError: The folder cannot be read.
    """
    if not path.is_dir():
        return [path]
    return sorted(
        one for one in path.iterdir() if one.suffix in _SUFFIXES and not one.name.startswith(".")
    )


def read_source(path: Path) -> Source | Problem:
    """Read one file, or say why it cannot be read."""
    try:
        # A pipe or a device might never end.
        if path.exists() and not (path.is_file() or path.is_dir()):
            return Problem(str(path), 0, "", "is not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return Problem(str(path), 0, "", f"cannot be read: {error.strerror or error}")
    return decode_source(content, str(path), path.absolute().parent)


def decode_source(content: bytes, file: str, base: Path) -> Source | Problem:
    """Decode the content of a file; UTF-8, with or without byte order mark."""
    if len(content) > MAX_FILE_BYTES:
        return Problem(file, 0, "", f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return Source(file, content.decode("utf-8-sig"), base)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Problem(file, line, "", "is not UTF-8 text")


def read_documents(source: Source) -> tuple[list[Document], list[Problem]]:
    """Read the documents of a file; a file without any is a problem."""
    documents, problems = compose(source.text, source.file)
    if not documents and not problems:
        problems.append(Problem(source.file, 0, "", "has no document in it"))
    return documents, problems
