"""A server that is killed, stopped, full, or speaks nonsense, while many take at once."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from mixer.state.quota import Algorithm, Answer, Charge, MemoryQuotas, Quotas, Take
from mixer.state.quota.redis import RedisQuotas
from mixer.state.quota.redis.link import MAX_WAITING
from mixer.state.quota.unavailable import OnUnavailable, fallback
from mixer.state.redis_store import RedisOptions
from tests.state.quota.waiting import TIMEOUT_S, answered
from tests.support.redis_server import RedisServer, free_port

CLIENTS = 20
Log = pytest.LogCaptureFixture
TAKE = Take((Charge(b"k", Algorithm.FIXED_WINDOW, 10**9, 3600 * 10**9),))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own."""
    with (
        tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
        RedisServer(Path(folder)) as running,
    ):
        yield running


def quotas_of(
    url: str, kind: OnUnavailable = OnUnavailable.LOCAL, timeout: float = 0.5
) -> RedisQuotas:
    return RedisQuotas(RedisOptions(url, timeout=timeout), fallback(kind, MemoryQuotas()))


@contextlib.asynccontextmanager
async def closing(quotas: RedisQuotas) -> AsyncIterator[RedisQuotas]:
    """Closed at the end, and its connection with it."""
    try:
        yield quotas
    finally:
        quotas.close()
        await asyncio.sleep(0)


class Load:
    """Clients that take one after the other, each as soon as it was answered."""

    def __init__(self, quotas: Quotas) -> None:
        self.answers: list[Answer] = []
        self._quotas = quotas

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._take()) for _ in range(CLIENTS)]
        return self

    async def _take(self) -> None:
        while True:
            self.answers.append(await answered(self._quotas, TAKE))
            await asyncio.sleep(0.001)

    async def see(self, wanted: Callable[[Answer], bool]) -> None:
        """Wait until each client was answered so, since now."""
        begun = len(self.answers)
        async with asyncio.timeout(TIMEOUT_S):
            while sum(map(wanted, self.answers[begun:])) < 2 * CLIENTS:
                assert not any(one.done() for one in self._tasks)
                await asyncio.sleep(0.005)

    async def __aexit__(self, *_exc: object) -> None:
        for one in self._tasks:
            one.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def is_local(answer: Answer) -> bool:
    return answer.local


def is_counted(answer: Answer) -> bool:
    return not answer.local


def fill(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")


def empty(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "0")


FAULTS: dict[str, tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]] = {
    "killed": (RedisServer.stop, RedisServer.start),
    "stopped": (RedisServer.freeze, RedisServer.thaw),
    "full": (fill, empty),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_under_load(server: RedisServer, fault: str) -> None:
    """Every take is answered: by this process while the server cannot, and by it afterwards."""
    begin, end = FAULTS[fault]
    async with closing(quotas_of(server.url)) as quotas, Load(quotas) as load:
        for _ in range(2):
            await load.see(is_counted)
            await asyncio.to_thread(begin, server)
            await load.see(is_local)
            if fault != "full":  # whoever asks does not even wait
                assert isinstance(quotas.take("", TAKE), Answer)
            await asyncio.to_thread(end, server)
        await load.see(is_counted)
    assert quotas.counts.store_errors > 0
    assert quotas.counts.local == sum(map(is_local, load.answers)) + 2 * (fault != "full")


async def test_scripts_that_are_lost(server: RedisServer) -> None:
    """A server that forgot the script is told it again, and the take is counted once."""
    async with closing(quotas_of(server.url)) as quotas:
        for left in (1, 2, 3):
            answer = await answered(quotas, TAKE)
            assert answer.standings[0].remaining == 10**9 - left
            with redis.Redis.from_url(server.url) as client:
                client.script_flush()
        assert quotas.counts.local == 0


async def test_a_server_that_became_a_replica(server: RedisServer) -> None:
    """Its connection is given up, since its address may lead to the new primary."""
    async with closing(quotas_of(server.url)) as quotas:
        assert not (await answered(quotas, TAKE)).local
        with redis.Redis.from_url(server.url) as client:
            client.replicaof("127.0.0.1", free_port())
        with (
            tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
            RedisServer(Path(folder)) as heir,
        ):
            heir.socket.replace(server.socket)
            assert (await answered(quotas, TAKE)).local
            assert not (await answered(quotas, TAKE)).local


NONSENSE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    "always the same": b"+PONG\r\n",
    "another list": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    "one that is too short": b"*1\r\n$3\r\nabc\r\n",
    "numbers that are none": b"*1\r\n$48\r\n" + b"\xff" * 48 + b"\r\n",
    "a length without end": b"*1\r\n$999999999999\r\n",
    "a list without end": b"*999999999\r\n:1\r\n",
    "lists in lists": b"*1\r\n" * 5000,
    "bytes": bytes(range(256)),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NONSENSE)
async def test_a_server_that_speaks_nonsense(kind: str) -> None:
    """Whatever comes back, the take is answered, and as if the server were down."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65_536):
                if not NONSENSE[kind]:
                    break
                writer.write(NONSENSE[kind])
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with (
        listening,
        closing(quotas_of(f"redis://127.0.0.1:{port}", timeout=0.2)) as quotas,
    ):
        for _ in range(3):
            answer = await answered(quotas, TAKE)
            assert answer.local
            assert answer.standings[0].granted == 1
        assert quotas.counts.store_errors > 0


@pytest.mark.parametrize(
    ("kind", "granted"),
    [
        (OnUnavailable.LOCAL, [[1], [1], [0]]),
        (OnUnavailable.OPEN, [[1], [1], [1]]),
        (OnUnavailable.CLOSED, [[], [], []]),
    ],
)
async def test_what_is_configured_for_it(kind: OnUnavailable, granted: list[list[int]]) -> None:
    """While nobody can be asked, this process counts alone, or grants all, or tells nothing."""
    take = Take((Charge(b"k", Algorithm.FIXED_WINDOW, 2, 3600 * 10**9),))
    async with closing(quotas_of(f"redis://127.0.0.1:{free_port()}", kind)) as quotas:
        answers = [await answered(quotas, take) for _ in range(3)]
        assert all(one.local for one in answers)
        assert len(quotas) == (kind is OnUnavailable.LOCAL)
        assert [[standing.granted for standing in one.standings] for one in answers] == granted
        refused = [one.refused for answer in answers for one in answer.standings]
        assert any(refused) == (kind is OnUnavailable.LOCAL)
        look = replace(take, charges=(take.charges[0]._replace(cost=0),))
        assert not any(one.refused for one in (await answered(quotas, look)).standings)


MEANWHILE = {
    OnUnavailable.LOCAL: "quotas are counted by this worker alone"
    " (onUnavailable: LOCAL) until Redis answers again",
    OnUnavailable.OPEN: "quotas are granted in full"
    " (onUnavailable: OPEN) until Redis answers again",
    OnUnavailable.CLOSED: "quotas are decided by the onError of each adapter"
    " (onUnavailable: CLOSED) until Redis answers again",
}


@pytest.mark.parametrize("kind", OnUnavailable)
async def test_what_the_log_says_of_it(kind: OnUnavailable, caplog: Log) -> None:
    """That the server is down, and once how quotas are decided until it is back."""
    async with closing(quotas_of(f"redis://127.0.0.1:{free_port()}", kind)) as quotas:
        for _ in range(3):
            await answered(quotas, TAKE)
    down, meanwhile = [one.getMessage() for one in caplog.records]
    assert " is down: " in down
    assert meanwhile == MEANWHILE[kind]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_loop_that_is_late_is_no_fault_of_the_server(
    server: RedisServer, caplog: Log, *, begun: bool
) -> None:
    """What holds the loop up past the timeout has no take answered without the server."""
    async with closing(quotas_of(server.url, timeout=0.1)) as quotas:
        if begun:
            assert not (await answered(quotas, TAKE)).local
        waiting = asyncio.create_task(answered(quotas, TAKE))
        for _ in range(4):
            await asyncio.sleep(0)
            time.sleep(0.15)  # noqa: ASYNC251 (as the loading of a module does)
        assert not (await waiting).local
    assert not caplog.records


async def test_too_many_wait(server: RedisServer) -> None:
    """One more than the bound is answered at once, by this process."""
    async with closing(quotas_of(server.url, timeout=TIMEOUT_S)) as quotas:
        waiting = [quotas.take("", TAKE) for _ in range(MAX_WAITING)]
        assert not any(isinstance(one, Answer) for one in waiting)
        more = quotas.take("", TAKE)
        assert isinstance(more, Answer)
        assert more.local


def test_without_an_event_loop() -> None:
    """Where nothing could be sent, this process counts."""
    quotas = quotas_of(f"redis://127.0.0.1:{free_port()}")
    answer = quotas.take("", TAKE)
    assert isinstance(answer, Answer)
    assert answer.local
    quotas.close()


async def test_who_is_told_and_fails(server: RedisServer) -> None:
    """An error of one who is told is not the end of the others."""
    loop, errors = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with closing(quotas_of(server.url)) as quotas:
        found = quotas.take("", TAKE)
        assert not isinstance(found, Answer)
        found.wait(lambda _answer: 1 // 0)  # type: ignore[arg-type, return-value]
        assert not (await answered(quotas, TAKE)).local
        assert [type(one) for one in errors] == [ZeroDivisionError]


async def test_a_sender_that_ended(server: RedisServer) -> None:
    """Whatever ended it, the next take is sent nevertheless."""
    async with closing(quotas_of(server.url)) as quotas:
        assert not (await answered(quotas, TAKE)).local
        (sender,) = asyncio.all_tasks() - {asyncio.current_task()}
        sender.cancel()
        await asyncio.wait([sender])
        assert not (await answered(quotas, TAKE)).local


async def test_those_that_come_after(server: RedisServer) -> None:
    """What is asked for while a batch is under way waits no longer than that batch."""
    async with closing(quotas_of(server.url)) as quotas:
        await answered(quotas, TAKE)
        server.freeze()
        first = asyncio.create_task(answered(quotas, TAKE))
        for _ in range(10):
            await asyncio.sleep(0)
        later = [asyncio.create_task(answered(quotas, TAKE)) for _ in range(5)]
        await asyncio.sleep(0)
        assert not first.done()
        answers = [await first, *await asyncio.gather(*later)]
        assert all(one.local for one in answers)
        assert quotas.counts.store_errors == 1
