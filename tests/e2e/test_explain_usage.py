"""What `mixer explain` asks costs nobody anything."""

from pathlib import Path

import pytest

from mixer.state.ledger import read_entry
from mixer.state.ledger.sqlite import SqliteReader
from tests.e2e.calls import channel, check, check_request
from tests.e2e.stack import Services, adapter
from tests.e2e.test_explain import explain

_BILLING = {
    "subject": 'request.headers["x-consumer"]',
    "recordOn": "request",
    "unknownSubject": "deny",
}


@pytest.mark.asyncio
async def test_an_explanation_is_not_billed(services: Services, tmp_path: Path) -> None:
    """The same request is billed when it is made, and never when it is explained."""
    file = tmp_path / "usage.db"
    told = {"ledger": {"sqlite": {"path": str(file)}},
            "admin": {"address": f"unix:{services.folder}/admin.sock"}}  # fmt: skip
    billing = adapter("billing", "builtin://billing", _BILLING, phase="STATS")
    async with services.service("billed", [billing], **told) as running:
        for consumer in ("alice", "bob"):
            status, text, _ = await explain(services, "/x", "-H", f"x-consumer: {consumer}")
            assert (status, text.partition("\n")[0]) == (0, "GET '/x': ALLOW by billing")
        async with channel(running.address) as opened:
            answer = await check(opened, check_request("/x", x_consumer="alice"))
            assert answer.status.code == 0
        status, _, _ = await explain(services, "/x", "-H", "x-consumer: bob")
        assert status == 0
    reader = SqliteReader(file)
    assert [read_entry(row.entry).usage.subject for row in reader.rows()] == ["alice"]
    reader.close()
