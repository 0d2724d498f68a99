"""What somebody typed, as a request."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mixer.proxywasm import unknown_capabilities
from mixer.runner.exchange import Pieces, RunResponse

_LONGEST_NAME = 255


class InputError(ValueError):
    """An argument cannot be used."""


def content(argument: str) -> bytes:
    """The bytes of an argument, or of the file that ``@FILE`` names.

    Raises:
        InputError: The file cannot be read.
    """
    if not argument.startswith("@"):
        _suspect_a_file(argument)
        return argument.encode(errors="surrogateescape")
    path = Path(argument[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _suspect_a_file(argument: str) -> None:
    """A forgotten ``@`` would be taken for content."""
    if len(argument) <= _LONGEST_NAME and Path(argument).is_file():
        raise InputError(f"a file of that name exists: did you mean @{argument}?")


def header_pairs(
    method: str, path: str, authority: str, headers: list[str]
) -> tuple[tuple[str, str], ...]:
    """The request headers, pseudo-headers first.

    Raises:
        InputError: A header is not written as ``NAME: VALUE``.
    """
    pseudo = (
        (":authority", authority), (":path", path), (":method", method), (":scheme", "http"),
    )  # fmt: skip
    return (*pseudo, *header_fields(headers))


def header_fields(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Headers or trailers.

    Raises:
        InputError: One of them is not written as ``NAME: VALUE``.
    """
    return tuple(map(_header, texts))


def response(
    status: int | None,
    headers: Sequence[str] | None,
    body: Sequence[str] | None,
    trailers: Sequence[str] | None,
    metadata: Sequence[str] | None = None,
) -> RunResponse | None:
    """The upstream's response; None where nothing is said of it.

    Raises:
        InputError: A header cannot be read, or a file.
    """
    if status is None and not (headers or body or trailers or metadata):
        return None
    return RunResponse(
        headers=(
            (":status", str(200 if status is None else status)),
            *header_fields(headers or ()),
        ),
        pieces=Pieces(
            body=tuple(map(content, body or ())),
            trailers=header_fields(trailers) if trailers else None,
            metadata=metadata_blocks(metadata or ()),
        ),
    )


def metadata_blocks(texts: Iterable[str]) -> tuple[dict[str, str], ...]:
    """HTTP/2 metadata, one block for each ``NAME: VALUE``. Raises InputError."""
    return tuple({name: value} for name, value in header_fields(texts))


def capabilities(texts: Iterable[str]) -> frozenset[str] | None:
    """Host calls and callbacks, separated by commas; None where there is no list.

    Raises:
        InputError: A name is no host call, and no callback, or a list is empty.
    """
    given = tuple(texts)
    names = frozenset(name for text in given for part in text.split(",") if (name := part.strip()))
    if unknown := unknown_capabilities(names):
        raise InputError(f"--allow {unknown[0]}: neither a host call nor a callback")
    if given and not names:
        raise InputError("--allow names no capability; leave it out to allow all")
    return names or None


def _header(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise InputError(f"header {text!r}: use --method, --path and --authority")
    name, separator, value = text.partition(":")
    if not separator or not name.strip():
        raise InputError(f"header {text!r}: write NAME: VALUE")
    return name.strip(), value.strip()
