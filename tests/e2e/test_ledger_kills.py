"""The service is killed over and over under load: what was acknowledged is there, once."""

import asyncio
import itertools
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from mixer.state.ledger.sqlite import SqliteReader
from mixer.state.ledger.verification import verify
from tests.api.mixer_calls import report_bytes
from tests.e2e.calls import CHECK, TIMEOUT_S, channel, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.e2e.test_mixer_v1 import REPORT
from tests.support.ledger_entries import usage
from tests.support.nursery import Nursery
from tests.support.recorder import recorder

_WORKERS = 4
_CALLERS = 6
_RECORDS_OF_A_REPORT = 5
_MOST_ACKNOWLEDGED = 40


@dataclass
class _Load:
    """What callers sent, and what they were told.

    Attributes:
        sent: Keys of all records.
        acknowledged: Those whose call was answered with OK.
        again: Keys of calls that broke off: they are sent again.
    """

    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    number: "itertools.count[int]" = field(default_factory=itertools.count)

    def keys(self, count: int) -> list[str]:
        """Keys of a call: what broke off goes first."""
        taken, self.again = self.again[:count], self.again[count:]
        taken += [f"record-{next(self.number)}" for _ in range(count - len(taken))]
        self.sent.update(taken)
        return taken

    def note(self, keys: list[str], *, acknowledged: bool) -> int:
        """Note what became of a call; how many records were acknowledged."""
        if acknowledged:
            self.acknowledged.update(keys)
            return len(keys)
        self.again += keys
        return 0


@dataclass
class _Life:
    """One run of the service.

    Attributes:
        acknowledged: Records that it acknowledged.
        is_over: Whether it was killed.
    """

    acknowledged: int = 0
    is_over: bool = False


async def _ask(opened: grpc.aio.Channel, load: _Load) -> int:
    """Have one request checked, as Envoy does."""
    keys = load.keys(1)
    request = check_request(x_entry=usage(keys[0]).hex())
    answer = await _sent(opened, CHECK, request)
    passed = answer is not None and CheckResponse.FromString(answer).status.code == 0
    return load.note(keys, acknowledged=passed)


async def _tell(opened: grpc.aio.Channel, load: _Load) -> int:
    """Report some requests, as Istio's proxies do."""
    keys = load.keys(_RECORDS_OF_A_REPORT)
    records = [{"request.headers": {"x-entry": usage(key).hex()}} for key in keys]
    answer = await _sent(opened, REPORT, report_bytes(records))
    return load.note(keys, acknowledged=answer is not None)


async def _sent(opened: grpc.aio.Channel, method: str, request: bytes) -> bytes | None:
    """The answer, or None where the call broke off."""
    try:
        answer: bytes = await opened.unary_unary(method)(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError:
        return None
    return answer


async def _call(address: str, load: _Load, way: int, life: _Life) -> None:
    async with channel(address) as opened:
        while not life.is_over:
            life.acknowledged += await (_tell if way % 2 else _ask)(opened, load)


async def _live_and_die(pid: int, address: str, load: _Load, chance: random.Random) -> None:
    """One life: under load until so much was acknowledged, and then no chance to finish."""
    goal, life = chance.randint(1, _MOST_ACKNOWLEDGED), _Life()
    try:
        await _until(lambda: Path(address.removeprefix("unix:")).exists())
        callers = [asyncio.ensure_future(_call(address, load, n, life)) for n in range(_CALLERS)]
        await _until(lambda: life.acknowledged >= goal)
    finally:
        life.is_over = True
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*callers)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - of another process, or of many callers
            await asyncio.sleep(0.001)


async def _lives(nursery: Nursery, services: Services, config: Sequence[dict], name: str,
                 load: _Load, ledger: Path, lives: int) -> None:  # fmt: skip
    chance = random.Random(name)
    for life in range(lives):
        own = f"{name}-{life}"
        file = services.configure(own, config, ledger={"sqlite": {"path": str(ledger)}})
        pid = await nursery.start(file, services.folder / f"{own}.log")
        await _live_and_die(pid, services.address(own), load, chance)


def _stored(ledger: Path) -> Counter[str]:
    reader = SqliteReader(ledger)
    keys = Counter(row.key.decode()[1:] for row in reader.rows())
    verify(reader)
    reader.close()
    return keys


@pytest.mark.parametrize("kills", [100])
async def test_kills(services: Services, guests: Guests, tmp_path: Path, kills: int) -> None:
    """Workers that share a ledger are killed a hundred times: nothing is lost, nothing is twice.

    What was not acknowledged may be there or not; it is sent again, and is there once as well.
    """
    module = guests.file("recorder", recorder())
    config = [adapter("records", module)]
    ledger, load = tmp_path / "usage.db", _Load()
    names = [f"worker-{number}" for number in range(_WORKERS)]
    async with Nursery() as nursery, asyncio.TaskGroup() as group:
        for name in names:
            lives = _lives(nursery, services, config, name, load, ledger, kills // _WORKERS)
            group.create_task(lives)
    stored = _stored(ledger)
    assert set(stored.values()) == {1}
    assert load.acknowledged - stored.keys() == set()
    assert stored.keys() - load.sent == set()
    assert len(load.acknowledged) >= kills
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
