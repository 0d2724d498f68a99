"""Builders of YAML text, so that each test shows only what it is about."""

from collections.abc import Callable
from textwrap import indent

import pytest

from mixer.config import ConfigError, Configuration, MixerSpec, Problem, WasmPlugin, loads

HEADER = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n"


def plugin_text(spec: str = "", *, metadata: str = "name: a", url: str = "./a.wasm") -> str:
    """Text of one WasmPlugin; ``spec`` begins at line 6."""
    lines = f"url: {url}\n{spec}" if url else spec
    return f"{HEADER}metadata: {{{metadata}}}\nspec:\n{indent(lines, '  ')}\n"


def mixer_text(spec: str) -> str:
    """Text of one Mixer; ``spec`` begins at line 5."""
    body = indent(spec, "  ")
    return f"apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {{name: m}}\nspec:\n{body}\n"


def problems_of(text: str) -> tuple[Problem, ...]:
    """What is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        loads(text, file="a.yaml")
    return caught.value.problems


@pytest.fixture
def plugin() -> Callable[..., WasmPlugin]:
    """The one plugin of a text."""

    def build(spec: str = "", **options: str) -> WasmPlugin:
        return loads(plugin_text(spec, **options)).plugins[0]

    return build


@pytest.fixture
def mixer() -> Callable[[str], MixerSpec]:
    """Settings of a Mixer text."""
    return lambda spec: loads(mixer_text(spec)).mixer


@pytest.fixture
def config() -> Callable[..., Configuration]:
    """A configuration of several documents."""
    return lambda *texts, **options: loads("---\n".join(texts), **options)


@pytest.fixture
def refused() -> Callable[..., list[str]]:
    """Problems of a plugin, as text."""
    return lambda *a, **k: [str(p) for p in problems_of(plugin_text(*a, **k))]


@pytest.fixture
def mixer_refused() -> Callable[[str], list[str]]:
    """Problems of a Mixer, as text."""
    return lambda spec: [str(p) for p in problems_of(mixer_text(spec))]


@pytest.fixture
def text_refused() -> Callable[[str], list[str]]:
    """Problems of any text, as text."""
    return lambda text: [str(p) for p in problems_of(text)]


@pytest.fixture(scope="session")
def as_plugin() -> Callable[..., str]:
    """Text of a WasmPlugin."""
    return plugin_text


@pytest.fixture(scope="session")
def as_mixer() -> Callable[[str], str]:
    """Text of a Mixer."""
    return mixer_text
