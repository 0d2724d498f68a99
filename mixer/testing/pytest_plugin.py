"""The fixture `proxy_wasm` of pytest: a host that is closed at the end of the test."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.testing.host import Host


@pytest.fixture
def proxy_wasm() -> "Iterator[Host]":
    """A `mixer.testing.Host` of the test's own; compiled modules are kept for the user."""
    from mixer.testing.host import Host

    with Host() as host:
        yield host
