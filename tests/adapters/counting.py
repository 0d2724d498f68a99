"""Who counts for the quota adapter."""

import pytest

from mixer.proxywasm import foreign
from mixer.proxywasm.hostcalls import foreign as calls

WAYS = ("host", "shared data")
"""The host's own counters, or the module's in shared data, as in Envoy."""

TAKE = "mixer_quota_take"


def count_by(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have plugins that start from now on count so."""
    if way == "shared data":
        known = {name: one for name, one in foreign.FOREIGN_FUNCTIONS.items() if name != TAKE}
        monkeypatch.setattr(calls, "FOREIGN_FUNCTIONS", known)
