"""A whole configuration: put together from documents, or loaded from a path."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mixer.config.assembly import Assembly
from mixer.config.plugin import WasmPlugin
from mixer.config.problem import ConfigError, Problem
from mixer.config.rule import MixerRule
from mixer.config.service import MixerSpec
from mixer.config.source import decode_source, read_source, yaml_files
from mixer.config.store import MemoryStore, StateStore


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the service runs by.

    Attributes:
        mixer: Settings of the service; defaults without a Mixer document.
        plugins: In the order in which they run.
        notices: What is accepted and has no effect here, or not everywhere.
        files: That were read, in the order of reading.
        rules: In the order in which they are applied.
    """

    mixer: MixerSpec
    plugins: tuple[WasmPlugin, ...]
    notices: tuple[Problem, ...]
    files: tuple[Path, ...]
    rules: tuple[MixerRule, ...] = ()

    def in_memory(self) -> "Configuration":
        """The same with state of its own and no ledger, to be tried beside who runs it."""
        own = StateStore(memory=MemoryStore())
        state = self.mixer.state.model_copy(update={"store": own})
        update = {"state": state, "ledger": None}
        return replace(self, mixer=self.mixer.model_copy(update=update))


def load(path: Path, *, environ: Mapping[str, str] | None = None) -> Configuration:
    """Load and validate a file, or all ``*.yaml`` and ``*.yml`` files directly in a folder.

    Args:
        path: Of the file or folder.
        environ: What ``valueFrom: HOST`` reads; the environment of the process when not given.

    Raises:
        ConfigError: With everything that is wrong.
    """
    assembly = Assembly(os.environ if environ is None else environ)
    files = _files(path)
    for file in files:
        assembly.add(read_source(file))
    return _finish(assembly, files)


def loads(
    text: str,
    *,
    file: str = "<string>",
    base: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Configuration:
    """Load and validate the text of one file.

    Args:
        text: YAML, one or more documents.
        file: How problems name it.
        base: Folder that relative paths refer to; the working directory when not given.
        environ: As of ``load``.

    Raises:
        ConfigError: With everything that is wrong.
    """
    assembly = Assembly(os.environ if environ is None else environ)
    content = text.encode(errors="surrogatepass")
    assembly.add(decode_source(content, file, (base or Path()).absolute()))
    return _finish(assembly, [])


def _files(path: Path) -> list[Path]:
    try:
        files = yaml_files(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(path), 0, "", reason)]) from None
    if not files:
        raise ConfigError([Problem(str(path), 0, "", "no *.yaml or *.yml file in this folder")])
    return files


def _finish(assembly: Assembly, files: list[Path]) -> Configuration:
    found = assembly.finish()
    return Configuration(found.mixer, found.plugins, found.notices, tuple(files), found.rules)
