"""Who counts for the quota adapter."""

import pytest

from mixer.proxywasm.hostcalls import foreign as calls

WAYS = ("host", "shared data")
"""The host's own counters, or the module's in shared data, as in Envoy."""

TAKE = b"mixer_quota_take"


def count_by(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have plugins that start from now on count so."""
    if way == "shared data":
        monkeypatch.delitem(calls.BY_NAME, TAKE)
