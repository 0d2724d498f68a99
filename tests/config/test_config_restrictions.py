"""The annotations that say what a module may do, and what it is answered."""

import pytest

from mixer.config.metadata import MAX_CAPABILITIES, Compat


def annotated(name: str, value: str) -> str:
    return f"name: a, annotations: {{mixer.dev/{name}: {value}}}"


def test_compat(plugin):
    """Envoy's answers are the default."""
    assert plugin().compat is Compat.ENVOY
    assert plugin(metadata=annotated("compat", "lenient")).compat is Compat.LENIENT


def test_allowed_capabilities(plugin):
    """They are separated by commas; without the annotation all are allowed."""
    assert plugin().allowed_capabilities is None
    found = plugin(metadata=annotated("allowed-capabilities", '"proxy_log, fd_write,proxy_log,"'))
    assert found.allowed_capabilities == {"proxy_log", "fd_write"}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("compat", "strict", "must be one of envoy, lenient, not 'strict'"),
        ("allowed-capabilities", '""', "names no capability; leave the annotation out"),
        ("allowed-capabilities", '","', "names no capability"),
        ("allowed-capabilities", "proxy log", "'proxy log' is no host call or callback"),
        (
            "allowed-capabilities",
            f'"{"a," * (MAX_CAPABILITIES + 1)}"',
            f"names {MAX_CAPABILITIES + 1} capabilities; {MAX_CAPABILITIES} at the most",
        ),
    ],
)
def test_refused(refused, name: str, value: str, problem: str):
    """What cannot be meant is refused by the annotation's name."""
    [message] = refused(metadata=annotated(name, value))
    assert f"mixer.dev/{name}" in message
    assert problem in message
