"""Writes a new project."""

import re
from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

_SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 63
_RESERVED = frozenset({"std", "core", "alloc", "test", "proxy-wasm", "serde", "serde-json", "main"})
_LOCKED = re.compile(r'^name = "([a-z0-9_-]+)"$', re.MULTILINE)
_DOTFILES = {"gitignore": ".gitignore"}


class Language(StrEnum):
    """What a plugin is written in."""

    RUST = "rust"
    GO = "go"
    ASSEMBLYSCRIPT = "assemblyscript"


_TOLD = {
    Language.RUST: ("Rust", "Rust with the target wasm32-wasip1 (`rustup target add "
                    "wasm32-wasip1`), or Debian's rustc, cargo, rust-web-src and lld"),
    Language.GO: ("Go", "Go 1.24 or newer"),
    Language.ASSEMBLYSCRIPT: ("AssemblyScript", "Node.js with npm"),
}  # fmt: skip


class ProjectError(ValueError):
    """A project cannot be written; the message says why."""


def new_project(language: Language, name: str, folder: Path) -> list[Path]:
    """Write a project for a plugin that builds, with a test that passes.

    Args:
        language: What it is written in.
        name: Of the plugin: lower-case letters, digits and single ``-`` in between.
        folder: Where to write it; made where it is not there, else it must be empty.

    Returns:
        The files, in order.

    Raises:
        ProjectError: The name cannot be used, or the folder is not empty or cannot be written.
    """
    _check(name, language)
    spoken, needs = _TOLD[language]
    words = {"name": name, "crate": name.replace("-", "_"), "language": spoken, "needs": needs}
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ProjectError(f"{folder} is not empty: give another --directory")
        return sorted(_write(folder, language, words))
    except OSError as error:
        raise ProjectError(f"{folder}: {error.strerror}") from error


def _check(name: str, language: Language) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ProjectError(
            f"{name!r} is no name: at most {_LONGEST_NAME} of a-z, 0-9 and single '-' in between, "
            "beginning with a letter"
        )
    if name in _RESERVED or (language is Language.RUST and name in _crates()):
        raise ProjectError(f"{name!r} is a name that the toolchains use themselves: take another")


def _crates() -> frozenset[str]:
    """What a project in Rust depends on: one of the same name could not be locked."""
    lock = files(__package__) / Language.RUST.value / f"Cargo.lock{_SUFFIX}"
    return frozenset(_LOCKED.findall(lock.read_text("utf-8")))


def _write(folder: Path, language: Language, words: dict[str, str]) -> Iterator[Path]:
    here = files(__package__)
    for source in (here / "common", here / language.value):
        for place, template in _templates(source, PurePosixPath()):
            target = folder / place.with_name(_DOTFILES.get(place.name, place.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(template.read_text("utf-8"), words), encoding="utf-8")
            yield target


def _templates(
    folder: Traversable, below: PurePosixPath
) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _templates(one, below / one.name)
        elif one.name.endswith(_SUFFIX):
            yield below / one.name.removesuffix(_SUFFIX), one


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{{{word}}}}}", value)
    return text
