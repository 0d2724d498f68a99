"""Redis callouts against a real server."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster, ClusterLimits, ClusterTls, Endpoint
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import (
    Cancel,
    NotSentError,
    Redis,
    RedisReply,
    RedisTarget,
    UnknownClusterError,
)
from mixer.callouts.redis_calls import RedisCalls
from mixer.callouts.redis_client import RedisLimits
from mixer.callouts.redis_login import encode
from tests.support.asked_redis import AskedRedis, asked_redis
from tests.support.redis_server import free_port
from tests.support.self_signed import self_signed

LOST = RedisReply(1)
PING, PONG = encode("PING"), RedisReply(0, b"+PONG\r\n")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def clusters(port: int, *, connect_timeout: float = 5.0, reply: int = 1 << 25) -> Clusters:
    limits = ClusterLimits(max_response_bytes=reply)
    endpoint = Endpoint("127.0.0.1", port)
    return Clusters([Cluster("redis", (endpoint,), connect_timeout=connect_timeout, limits=limits)])


class Client:
    """A Redis whose answers can be waited for."""

    def __init__(
        self,
        port: int,
        target: RedisTarget,
        limits: RedisLimits | None = None,
        reply: int = 1 << 25,
    ) -> None:
        self.redis: Redis = RedisCalls(clusters(port, reply=reply), Addresses(), limits).redis(
            target
        )

    def send(self, query: bytes) -> tuple[asyncio.Future[RedisReply], Cancel]:
        future: asyncio.Future[RedisReply] = asyncio.get_running_loop().create_future()
        cancel = self.redis.call(query, future.set_result)
        assert not future.done(), "a callback from within the call"
        return future, cancel

    async def ask(self, *arguments: str) -> RedisReply:
        return await asyncio.wait_for(self.send(encode(*arguments))[0], 30.0)


MakeClient = Callable[..., Client]


@pytest.fixture
async def make() -> AsyncIterator[MakeClient]:
    """Makes clients that are closed in the end."""
    clients: list[Client] = []

    def of(
        port: int, limits: RedisLimits | None = None, reply: int = 1 << 25, /, **target: str | float
    ) -> Client:
        settings = {"service": "redis", "timeout": 10.0, **target}
        clients.append(Client(port, RedisTarget(**settings), limits, reply))  # type: ignore[arg-type]
        return clients[-1]

    yield of
    for client in clients:
        client.redis.close()
    await asyncio.sleep(0)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AskedRedis]:
    async with asked_redis("--enable-debug-command", "yes") as running:
        yield running


async def settled() -> None:
    """All that is due in this turn of the event loop and the next ones has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_raw_replies_of_every_kind(server: AskedRedis, make: MakeClient) -> None:
    """The module gets the server's bytes: strings, numbers, nothing, nested arrays, errors."""
    client = make(server.port)
    assert await client.ask("SET", "k", "a\r\nb\0") == RedisReply(0, b"+OK\r\n")
    assert await client.ask("GET", "k") == RedisReply(0, b"$5\r\na\r\nb\0\r\n")
    assert await client.ask("GET", "none") == RedisReply(0, b"$-1\r\n")
    assert await client.ask("INCR", "n") == RedisReply(0, b":1\r\n")
    assert await client.ask("INCR", "k") == RedisReply(
        0, b"-ERR value is not an integer or out of range\r\n"
    )
    script = "return {1, {KEYS[1], ARGV[1], {}}, redis.status_reply('s')}"
    assert await client.ask("EVAL", script, "1", "key", "arg") == RedisReply(
        0, b"*3\r\n:1\r\n*3\r\n$3\r\nkey\r\n$3\r\narg\r\n*0\r\n+s\r\n"
    )


async def test_resp3_after_hello(server: AskedRedis, make: MakeClient) -> None:
    """A module that says HELLO 3 gets maps, and is not confused by what is pushed to it."""
    client = make(server.port)
    assert (await client.ask("HELLO", "3")).response.startswith(b"%")
    assert await client.ask("CLIENT", "TRACKING", "on") == RedisReply(0, b"+OK\r\n")
    assert await client.ask("HSET", "h", "f", "v") == RedisReply(0, b":1\r\n")
    assert await client.ask("HGETALL", "h") == RedisReply(0, b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n")
    await client.ask("HSET", "h", "f", "w")  # an invalidation message comes with this one
    assert await client.ask("PING") == PONG


async def test_ten_thousand_calls_share_one_connection(
    server: AskedRedis, make: MakeClient
) -> None:
    """Pipelined calls get their own replies, in order, over one connection."""
    client = make(server.port)
    order: list[int] = []

    def done(number: int, last: asyncio.Future[None]) -> Callable[[RedisReply], None]:
        def took(reply: RedisReply) -> None:
            assert reply == RedisReply(0, b"$%d\r\n%d\r\n" % (len(str(number)), number))
            order.append(number)
            if number == 9_999:
                last.set_result(None)

        return took

    last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for number in range(10_000):
        client.redis.call(encode("ECHO", str(number)), done(number, last))
    await asyncio.wait_for(last, 30.0)
    assert order == list(range(10_000))
    assert (await client.ask("CLIENT", "LIST")).response.count(b"\nid=") == 1


async def test_a_query_of_several_commands(server: AskedRedis, make: MakeClient) -> None:
    """All replies come as one answer, and the next call is not taken for one of them."""
    client = make(server.port)
    query = b"".join((encode("MULTI"), encode("INCR", "a"), encode("INCR", "a"), encode("EXEC")))
    first, _ = client.send(query)
    second, _ = client.send(PING)
    queued = b"+QUEUED\r\n"
    assert await first == RedisReply(0, b"+OK\r\n" + queued * 2 + b"*2\r\n:1\r\n:2\r\n")
    assert await second == PONG


async def test_password_and_database(tmp_path: Path, make: MakeClient) -> None:
    """A password alone, a user with a password, and a database behind the name are used."""
    options = ("--requirepass", "geheim", "--user", "ada", "on", ">s3cret", "~*", "+@all")
    async with asked_redis(*options) as server:
        one = make(server.port, password="geheim", service="redis?db=3")
        flush = "redis?buffer_flush_timeout=0&max_buffer_size_before_flush=0"
        two = make(server.port, username="ada", password="s3cret", service=flush)
        assert await one.ask("SET", "k", "3") == RedisReply(0, b"+OK\r\n")
        assert await two.ask("GET", "k") == RedisReply(0, b"$-1\r\n")
        assert (await two.ask("ACL", "WHOAMI")).response == b"$3\r\nada\r\n"
        assert b" db=3 " in (await two.ask("CLIENT", "LIST")).response
        assert (await make(server.port).ask("PING")).response.startswith(b"-NOAUTH")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"password": "wrong-secret"}, "AUTH: WRONGPASS"),
        ({"username": "eve", "password": "wrong-secret"}, "AUTH: WRONGPASS"),
        ({"password": "geheim", "service": "redis?db=99"}, "SELECT: ERR DB index is out of range"),
        ({"password": "geheim", "service": "redis?db=x"}, "SELECT: ERR "),
    ],
)
async def test_a_refused_login_fails_calls_and_is_logged_once(
    tmp_path: Path,
    make: MakeClient,
    caplog: pytest.LogCaptureFixture,
    target: dict[str, str],
    told: str,
) -> None:
    """Calls fail with a status, and the log names cluster and error once, but no secret."""
    async with asked_redis("--requirepass", "geheim") as server:
        client = make(server.port, **target)
        assert [await client.ask("PING") for _ in range(3)] == [LOST] * 3
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert f"Redis cluster redis: {told}" in caplog.text
    assert "secret" not in caplog.text + repr(client.redis)
    assert "geheim" not in caplog.text
    assert "eve" not in caplog.text


async def test_a_server_that_quotes_the_password(
    make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """What a server that knows no AUTH says of its arguments is not logged."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"-ERR unknown command `AUTH`, with args beginning with: `s3cret`,\r\n")

    async with stub(serve) as port:
        assert await make(port, password="s3cret-with-more").ask("PING") == LOST
    assert "AUTH: ERR unknown command" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_restart_in_the_middle(server: AskedRedis, make: MakeClient) -> None:
    """What waits when the server goes fails at once; calls work again when it is back."""
    client = make(server.port)
    assert await client.ask("PING") == PONG
    waits, _ = client.send(encode("BLPOP", "list", "0"))
    await settled()
    await server.stop()
    assert await waits == LOST
    assert await client.ask("PING") == LOST
    await server.start()
    async with asyncio.timeout(20.0):
        while await client.ask("PING") != PONG:
            pass


async def test_a_late_reply_is_not_taken_for_the_next(server: AskedRedis, make: MakeClient) -> None:
    """A slow answer fails its call after the timeout, and those behind it get their own."""
    client = make(server.port, timeout=0.4)
    connection = await client.ask("CLIENT", "ID")
    assert await client.ask("DEBUG", "SLEEP", "0.8") == LOST
    replies = [client.send(encode("ECHO", str(number)))[0] for number in range(3)]
    for number, reply in enumerate(replies):
        assert await reply in (LOST, RedisReply(0, b"$1\r\n%d\r\n" % number))
    while (last := await client.ask("ECHO", "in time")) == LOST:
        pass
    assert last == RedisReply(0, b"$7\r\nin time\r\n")
    assert await client.ask("CLIENT", "ID") == connection


async def test_cancel_and_close(server: AskedRedis, make: MakeClient) -> None:
    """Nothing is told after a call is given up or the connection is closed."""
    client = make(server.port)
    given_up, cancel = client.send(PING)
    told, _ = client.send(PING)
    cancel()
    assert await told == PONG
    waits, _ = client.send(encode("BLPOP", "list", "0"))
    later, cancel_later = client.send(PING)
    await settled()
    client.redis.close()
    cancel_later()
    with pytest.raises(NotSentError, match="closed"):
        client.send(PING)
    await settled()
    assert not any(one.done() for one in (given_up, waits, later))


async def test_close_in_a_callback(server: AskedRedis, make: MakeClient) -> None:
    """A callback may close the connection: the replies that came with its own are not told."""
    client = make(server.port)
    assert await client.ask("PING") == PONG
    told: list[RedisReply] = []
    closed = asyncio.Event()

    def close(reply: RedisReply) -> None:
        told.append(reply)
        client.redis.close()
        closed.set()

    client.redis.call(PING, close)
    client.redis.call(PING, told.append)
    await asyncio.wait_for(closed.wait(), 10.0)
    await settled()
    assert told == [PONG]


async def test_a_callback_that_raises(
    server: AskedRedis, make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It harms no other call of the connection."""
    client = make(server.port)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))

    def fail(reply: RedisReply) -> None:
        raise ValueError(reply)

    client.redis.call(PING, fail)
    assert await client.ask("PING") == PONG
    assert len(failures) == 1


async def test_bounds(server: AskedRedis, make: MakeClient) -> None:
    """Too many calls, too long queries and too long replies are refused, and there is a way on."""
    client = make(server.port, RedisLimits(calls=3, bytes=200), 1000)
    waits = [client.send(PING)[0] for _ in range(3)]
    with pytest.raises(NotSentError, match="3 calls wait already"):
        client.send(PING)
    assert [await one for one in waits] == [PONG] * 3
    with pytest.raises(NotSentError, match="longer than the bound of 200 bytes"):
        client.send(encode("ECHO", "x" * 200))
    assert await client.ask("EVAL", "return string.rep('x', 2000)", "0") == LOST
    assert await client.ask("PING") == PONG
    two = encode("EVAL", "return string.rep('x', 600)", "0") * 2
    assert await client.send(two)[0] == LOST
    assert await client.ask("PING") == PONG


async def test_what_is_no_query_is_refused(server: AskedRedis, make: MakeClient) -> None:
    """It reaches no server."""
    for query in (b"", b"PING\r\n", PING + b"*1\r\n$4\r\nPI", encode("MONITOR")):
        with pytest.raises(ValueError, match=r"quer|command|size|exactly once"):
            make(server.port).send(query)


async def test_an_unknown_cluster() -> None:
    """The name in front of the settings is looked for."""
    calls = RedisCalls(Clusters(), Addresses())
    with pytest.raises(UnknownClusterError, match="no cluster 'absent'"):
        calls.redis(RedisTarget("absent?db=1"))


def stub(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncExitStack:
    return Stub(serve, context)


class Stub(AsyncExitStack):
    """A server that is no Redis."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self._serve, self._context = serve, context
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> int:  # type: ignore[override]
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            await self._serve(reader, writer)

        server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=self._context)
        await self.enter_async_context(server)
        self.callback(lambda: [writer.close() for writer in self._writers])
        return int(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"$9999999999\r\n",
    ],
)
async def test_garbage_ends_the_connection(
    make: MakeClient, caplog: pytest.LogCaptureFixture, junk: bytes
) -> None:
    """The calls that wait fail, the reason is logged once, and a new connection is tried."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(100)
        writer.write(junk)

    async with stub(serve) as port:
        client = make(port)
        replies = [await client.ask("PING") for _ in range(3)]
    assert replies == [LOST] * 3
    assert connections == 3
    assert len(caplog.records) == 1
    assert "Redis cluster redis: " in caplog.text


async def test_a_reply_that_nothing_asked_for(
    make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the connection, so that no later call takes it for its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"+mine\r\n+nobody's\r\n")

    async with stub(serve) as port:
        client = make(port)
        assert [await client.ask("PING") for _ in range(3)] == [RedisReply(0, b"+mine\r\n")] * 3
    assert "a reply that nothing asked for" in caplog.text


async def test_pushed_messages_belong_to_no_call(make: MakeClient) -> None:
    """RESP3's news between replies are left out."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(b">2\r\n+invalidate\r\n*0\r\n+PONG\r\n>1\r\n+more\r\n")

    async with stub(serve) as port:
        client = make(port)
        assert [await client.ask("PING") for _ in range(3)] == [PONG] * 3


async def test_nobody_listens(make: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """Calls fail soon, with one line in the log, and a server that comes later is found."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(PONG.response)

    async with stub(serve) as port:
        pass
    client = make(port)
    assert [await client.ask("PING") for _ in range(3)] == [LOST] * 3
    assert "Connection refused" in caplog.text
    assert len(caplog.records) == 1


async def test_calls_wait_for_a_slow_login(make: MakeClient) -> None:
    """Nothing but the login is sent before its answer; then everything is, in order."""
    seen: list[bytes] = []
    asked, go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(1000))
        asked.set()
        await go.wait()
        writer.write(b"+OK\r\n")
        seen.append(await reader.read(1000))
        writer.write(b":1\r\n:2\r\n")

    async with stub(serve) as port:
        client = make(port, password="p")
        first, _ = client.send(encode("ONE"))
        await asyncio.wait_for(asked.wait(), 10.0)
        second, _ = client.send(encode("TWO"))
        go.set()
        assert await first == RedisReply(0, b":1\r\n")
        assert await second == RedisReply(0, b":2\r\n")
    assert seen == [encode("AUTH", "p"), encode("ONE") + encode("TWO")]


@pytest.mark.parametrize("password", ["", "p"], ids=["no-login", "login"])
async def test_a_silent_server(make: MakeClient, password: str) -> None:
    """Calls fail after their timeout, and the connection is given up in the end."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await asyncio.Event().wait()
        while await reader.read(1000):
            writer.write(b"+PONG\r\n")

    async with stub(serve) as port:
        client = make(port, RedisLimits(silence=0.3), timeout=0.2, password=password)
        assert await client.ask("PING") == LOST
        async with asyncio.timeout(10.0):
            while await client.ask("PING") != PONG:
                pass
    assert connections >= 2


async def test_an_answer_without_login_is_refused(
    make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that hangs up instead of answering AUTH is a failed login."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async with stub(serve) as port:
        assert await make(port, password="p").ask("PING") == LOST
    assert "closes the connection instead of answering AUTH" in caplog.text


async def test_tls(tmp_path: Path) -> None:
    """The cluster's settings say whom to trust; a server that is not trusted gets no password."""
    certificate, key = self_signed(tmp_path, "redis.test")
    port = free_port()
    options = {
        "--tls-port": str(port),
        "--tls-cert-file": str(certificate),
        "--tls-key-file": str(key),
        "--tls-ca-cert-file": str(certificate),
        "--tls-auth-clients": "no",
        "--requirepass": "geheim",
    }
    target = RedisTarget("redis", password="geheim", timeout=10.0)
    async with asked_redis(*(part for option in options.items() for part in option)):
        for tls, expected in (
            (ClusterTls(sni="redis.test", ca_file=certificate), PONG),
            (ClusterTls(sni="redis.test"), LOST),
            (ClusterTls(ca_file=tmp_path / "missing.pem"), LOST),
        ):
            cluster = Cluster("redis", (Endpoint("127.0.0.1", port),), tls=tls)
            redis = RedisCalls(Clusters([cluster]), Addresses()).redis(target)
            reply: asyncio.Future[RedisReply] = asyncio.get_running_loop().create_future()
            redis.call(PING, reply.set_result)
            assert await asyncio.wait_for(reply, 10.0) == expected
            redis.close()
