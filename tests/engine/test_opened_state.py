"""What becomes of stores that were opened when a later one cannot be."""

from dataclasses import replace

import pytest

from mixer.config import MixerSpec
from mixer.engine import opened_state
from mixer.engine.sharing import open_stores
from mixer.proxywasm import ManualScheduler
from mixer.state import StoreError
from mixer.state.quota import MemoryQuotas


def test_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that cannot be opened has the others given back, the last one first."""
    closed = []
    spec, scheduler = MixerSpec(), ManualScheduler()
    stores = open_stores(spec.state, scheduler)
    stores = replace(stores, close=lambda: closed.append("stores"))
    quotas = MemoryQuotas()
    monkeypatch.setattr(quotas, "close", lambda: closed.append("quotas"))

    def refuse(*_: object) -> None:
        raise StoreError("spec.ledger.sqlite: no")

    monkeypatch.setattr(opened_state, "open_stores", lambda *_: stores)
    monkeypatch.setattr(opened_state, "open_quotas", lambda *_: quotas)
    monkeypatch.setattr(opened_state, "open_ledger", refuse)
    with pytest.raises(StoreError, match=r"^spec\.ledger\.sqlite: no$"):
        opened_state.open_state(spec, scheduler)
    assert closed == ["quotas", "stores"]
