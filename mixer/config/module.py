"""Where the Wasm module of a plugin is.

Source: ``url`` and ``sha256`` in the reference of Istio's WasmPlugin.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

import mixer
from mixer.config.model import printable

BUILTIN_MODULES = Path(mixer.__file__).absolute().parent / "modules"
"""Folder of the modules that are shipped with the service."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
_REMOTE = frozenset({"oci", "http", "https"})
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


def builtin_names() -> list[str]:
    """Names that ``builtin://`` knows, sorted."""
    return sorted(path.stem for path in BUILTIN_MODULES.glob("*.wasm"))


def module_path(url: str, base: Path) -> Path:
    """Find the file that a URL names; absolute, not checked to exist.

    Args:
        url: ``file://`` and a path, ``builtin://`` and a name, or a path alone: one that begins
            with ``/``, ``./`` or ``../``, or that ends in ``.wasm``. Percent signs mean themselves,
            as in Istio.
        base: Absolute folder that relative paths refer to.

    Raises:
        ValueError: It is none of these. The message never tells the URL, which may hold a password.
    """
    match = _SCHEME.fullmatch(printable(url))
    scheme, rest = (match[1].lower(), match[2]) if match else ("", url)
    if scheme == "builtin":
        return _builtin(rest)
    if scheme in _REMOTE:
        raise ValueError(f"{scheme}:// is not supported yet; download it and use file://")
    if scheme not in {"", "file"}:
        raise ValueError(f"unknown scheme {scheme!r}: must be file:// or builtin://")
    if not scheme and not (url.startswith(("/", "./", "../")) or url.endswith(".wasm")):
        raise ValueError(
            "without a scheme this is an OCI image, which is not supported yet; "
            "download it and use file://"
        )
    if not rest:
        raise ValueError("needs a path after file://")
    return base / rest


def _builtin(name: str) -> Path:
    known = builtin_names()
    # Membership rather than a path check: nothing outside the folder can be named.
    if name not in known:
        have = ", ".join(known) or "none"
        raise ValueError(f"no such module is shipped with the service; there are: {have}")
    return BUILTIN_MODULES / f"{name}.wasm"


def check_sha256(text: str) -> str | None:
    """Check a SHA-256: 64 hexadecimal digits, with or without ``sha256:`` before them.

    Returns:
        The digits in lower case; None for the empty string, which Istio takes for absent.

    Raises:
        ValueError: It is none.
    """
    match = _SHA256.fullmatch(text)
    if text and not match:
        raise ValueError(f"must be 64 hexadecimal digits, not {len(text)} characters such as these")
    return match[1].lower() if match else None


def _check_url(url: str) -> str:
    module_path(url, Path("/"))
    return url


ModuleUrl = Annotated[str, AfterValidator(_check_url)]
Sha256 = Annotated[str | None, AfterValidator(lambda text: check_sha256(text or ""))]
