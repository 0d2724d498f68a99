"""Engines over adapters that each test makes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.config import Configuration, loads
from mixer.engine import Engine, Request
from tests.support.compile import wasm
from tests.support.guest import http_stream

MakeEngine = Callable[..., Engine]


class Plugins:
    """Writes modules and the documents that configure them.

    Args:
        folder: Where the modules are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plugin(
        self, name: str, text: str, annotations: dict[str, str] | None = None, **spec: Any
    ) -> dict[str, Any]:
        """A WasmPlugin with a module of this text."""
        (self.folder / f"{name}.wasm").write_bytes(wasm(text))
        return self.document(name, annotations, **spec)

    def document(
        self, name: str, annotations: dict[str, str] | None = None, **spec: Any
    ) -> dict[str, Any]:
        """A WasmPlugin, whether there is a module or not."""
        named = {f"mixer.dev/{k}": v for k, v in (annotations or {}).items()}
        return {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": name, "annotations": named},
            "spec": {"url": f"./{name}.wasm", **spec},
        }

    def configuration(self, *documents: dict[str, Any]) -> Configuration:
        """A configuration of these documents; compiled modules are kept beside them."""
        mixer = {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "Mixer",
            "metadata": {"name": "mixer"},
            "spec": {"compileCache": {"directory": "./cache"}},
        }
        return loads(yaml.safe_dump_all([mixer, *documents]), base=self.folder, environ={})


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    """Modules and documents in a folder of the test's own."""
    return Plugins(tmp_path)


@pytest.fixture
def make_engine(plugins: Plugins) -> Iterator[MakeEngine]:
    """Make engines of documents; closed at the end."""
    made: list[Engine] = []

    def make(*documents: dict[str, Any], **options: Any) -> Engine:
        made.append(Engine(plugins.configuration(*documents), **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def request(
    *headers: tuple[str, str],
    body: bytes | None = None,
    has_body: bool | None = None,
    attributes: dict[str, Any] | None = None,
) -> Request:
    """A request; one with a body has one unless told otherwise."""
    pairs = [(n.encode(), v.encode()) for n, v in ((":path", "/"), *headers)]
    stream = http_stream(pairs, attributes=attributes)
    return Request(
        headers=stream.request.headers,
        attributes=stream.attributes,
        body=body,
        has_body=body is not None if has_body is None else has_body,
    )
