"""What somebody typed, as a request."""

from pathlib import Path

from mixer.config import ConfigError, load


class InputError(ValueError):
    """An argument cannot be used."""


def content(argument: str) -> bytes:
    """The bytes of an argument, or of the file that ``@FILE`` names.

    Raises:
        InputError: The file cannot be read.
    """
    if not argument.startswith("@"):
        return argument.encode()
    path = Path(argument[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def plugin_configuration(argument: str) -> bytes:
    """A plugin's configuration: text, ``@FILE``, or the ``pluginConfig`` of a YAML ``@FILE``.

    Raises:
        InputError: The file cannot be read, or is YAML without exactly one WasmPlugin.
    """
    if not (argument.startswith("@") and argument.endswith((".yaml", ".yml"))):
        return content(argument)
    file = argument[1:]
    try:
        plugins = load(Path(file)).plugins
    except ConfigError as error:
        raise InputError(str(error)) from error
    if len(plugins) != 1:
        raise InputError(f"{file} has {len(plugins)} WasmPlugin documents; must be one")
    return plugins[0].configuration


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
    return (*pseudo, *map(_header, headers))


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":") if text[:1] != ":" else _pseudo(text)
    if not separator or not name.strip():
        raise InputError(f"header {text!r}: write NAME: VALUE")
    return name.strip(), value.strip()


def _pseudo(text: str) -> tuple[str, str, str]:
    name, separator, value = text[1:].partition(":")
    return f":{name}", separator, value
