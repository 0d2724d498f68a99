"""What only the store on a server does: it may be slow, away, or another one afterwards."""

import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from mixer.state import EnqueueResult, SetResult, StateLimits, StoreError, StoreUnavailableError
from mixer.state.redis_store import RedisOptions, redis_stores
from mixer.state.redis_store.client import MAX_SENT_BYTES
from tests.state.conftest import TIMEOUT_S, wait_until
from tests.state.peer import Member, Peer, Place
from tests.support.redis_server import RedisServer, free_port
from tests.support.self_signed import self_signed

PASSWORD = "correct-horse"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for servers, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="mixer-redis-") as path:
        yield Path(path)


@pytest.fixture
def durable(folder: Path) -> Iterator[RedisServer]:
    """A server of the test's own that keeps what it answered for."""
    with RedisServer(folder, durable=True) as server:
        yield server


@pytest.fixture
def forgetful(folder: Path) -> Iterator[RedisServer]:
    """A server of the test's own that is empty after a restart."""
    with RedisServer(folder) as server:
        yield server


def place(server: RedisServer, **options: float) -> Place:
    return Place(options=replace(RedisOptions(server.url, timeout=TIMEOUT_S), **options))


def answers(one: Member) -> bool:
    try:
        one.data.get("vm", b"k")
    except StoreUnavailableError:
        return False
    return True


def test_a_restarted_server_has_everything(durable: RedisServer) -> None:
    """What was accepted before a durable server was killed is there when it is back."""
    with closing(Member(place(durable))) as one:
        queue = one.register("vm", b"q")
        assert queue is not None
        assert one.enqueue_many(queue, [b"1", b"2"]) == 2
        one.data.set("vm", b"k", b"v")
        before = one.data.get("vm", b"k")
        durable.stop()
        with pytest.raises(StoreUnavailableError):
            one.queues.enqueue(queue, b"3")
        durable.start()
        wait_until(lambda: answers(one))
        assert one.data.get("vm", b"k") == before
        assert one.queues.enqueue(queue, b"4") is EnqueueResult.OK
        assert one.take_all(queue) == [b"1", b"2", b"4"]


def test_notifications_go_on_after_a_restart(durable: RedisServer) -> None:
    """A process is told of what another one puts in after the server was away."""
    with closing(Member(place(durable))) as here, Peer(place(durable)) as other:
        queue = here.register("vm", b"q")
        other.ask("queues.enqueue", queue, b"before")
        assert here.told(1) == [queue]
        durable.stop()
        durable.start()
        assert other.ask("enqueue_many", queue, [b"after", b"after"]) == 2
        assert here.told(3) == [queue] * 3


def test_what_a_server_lost_is_made_again(forgetful: RedisServer) -> None:
    """After a server lost all, queues have their ids again, and are told to who had them."""
    with closing(Member(place(forgetful))) as here, Peer(place(forgetful)) as other:
        queue = here.register("vm", b"q")
        assert other.ask("queues.resolve", "vm", b"q") == queue
        forgetful.stop()
        forgetful.start()
        wait_until(lambda: other.ask("queues.enqueue", queue, b"m") is EnqueueResult.OK)
        assert here.told(1) == [queue]
        assert here.take_all(queue) == [b"m"]


def test_the_last_registrant_is_so_on_a_server_that_lost_all(forgetful: RedisServer) -> None:
    """Whichever process comes back first, the one that registered a queue last is told."""
    where = place(forgetful)
    with closing(Member(where)) as first, closing(Member(where)) as last:
        queue = first.register("vm", b"q")
        assert last.register("vm", b"q") == queue
        for times, order in enumerate(((first, last), (last, first)), 1):
            with closing(RedisOptions(forgetful.url).connect()) as client:
                client.flushall()
            for one in order:
                assert one.queues.dequeue(queue) is None
                one.queues._worker.restore(queue)
            assert first.queues.enqueue(queue, b"m") is EnqueueResult.OK
            # Before the server forgets again, what it has to tell included.
            assert last.told(times) == [queue] * times
        assert first.told_by_now() == []


def test_one_does_not_wait_for_a_queue_to_be_made_again(forgetful: RedisServer) -> None:
    """Whoever registered a queue can use it at once on a server that lost it."""
    with closing(Member(place(forgetful))) as one:
        queue = one.register("vm", b"q")
        assert queue is not None
        for use in (one.queues.dequeue, lambda q: one.queues.enqueue(q, b"m")):
            client = RedisOptions(forgetful.url).connect()
            client.flushall()
            client.close()
            use(queue)
        assert one.seen == [queue]


def test_an_old_number_never_fits_a_server_that_lost_all(forgetful: RedisServer) -> None:
    """A number to compare that somebody remembers is of no other set on the emptied server."""
    with closing(Member(place(forgetful))) as one:
        one.data.set("vm", b"k", b"1")
        seen = one.data.get("vm", b"k")
        assert seen is not None
        forgetful.stop()
        forgetful.start()
        assert one.data.set("vm", b"k", b"another") is SetResult.OK
        assert one.data.set("vm", b"k", b"mine", seen.cas) is SetResult.CAS_MISMATCH


def test_a_dead_server_costs_one_timeout(
    durable: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While a server answers nothing, one call waits, the others fail at once; one line is logged.

    When it answers again, the calls do so by themselves, with one more line.
    """
    caplog.set_level(logging.INFO, "mixer")
    with closing(Member(place(durable, timeout=0.3))) as one:
        one.data.set("vm", b"k", b"v")
        durable.freeze()
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            one.data.get("vm", b"k")
        waited = time.monotonic() - began
        assert waited >= 0.3
        began = time.monotonic()
        for _ in range(1000):
            with pytest.raises(StoreUnavailableError, match="is down"):
                one.data.get("vm", b"k")
        assert time.monotonic() - began < waited
        durable.thaw()
        wait_until(lambda: answers(one))
        assert one.data.set("vm", b"k", b"w") is SetResult.OK
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith(f"shared state: Redis at {durable.socket} is down: ")
    assert f"Redis at {durable.socket} is back after " in lines[1]


def test_each_outage_is_logged(durable: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A second outage is logged like the first."""
    with closing(Member(place(durable))) as one:
        for _ in range(2):
            durable.stop()
            wait_until(lambda: not answers(one))
            durable.start()
            wait_until(lambda: answers(one))
    down = [r for r in caplog.records if "is down" in r.getMessage()]
    assert len(down) == 2


def test_nobody_answers_at_the_start() -> None:
    """A server that is not there is an error that names host and port, and no password."""
    port = free_port()
    options = RedisOptions(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", start_timeout=0.2)
    with pytest.raises(StoreError) as caught:
        Member(Place(options=options))
    assert str(caught.value).startswith(f"Redis at 127.0.0.1:{port}: ")
    assert PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r} {options!r}"


def test_a_server_may_come_up_a_little_later(folder: Path) -> None:
    """A server that is started together with the service is waited for."""
    server = RedisServer(folder, port=free_port())
    starts = threading.Timer(0.3, server.start)
    starts.start()
    try:
        with closing(Member(place(server, start_timeout=TIMEOUT_S))) as one:
            assert one.data.set("vm", b"k", b"v") is SetResult.OK
    finally:
        starts.join()
        server.stop()


def test_passwords(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A password opens the store; a wrong one is refused at once, and neither is shown."""
    wrong = "wrong-horse"
    with RedisServer(folder, options=("--requirepass", PASSWORD)) as server:
        right = RedisOptions(server.url, password=PASSWORD)
        with closing(Member(Place(options=right))) as one:
            assert one.data.set("vm", b"k", b"v") is SetResult.OK
        began = time.monotonic()
        with pytest.raises(StoreError) as caught:
            Member(Place(options=replace(right, password=wrong, start_timeout=60.0)))
        assert time.monotonic() - began < 60
    shown = f"{right!r} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert wrong not in shown
    assert PASSWORD not in shown


def test_a_server_without_memory(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that takes no more is logged once and not down: what it has can be read."""
    with RedisServer(folder, options=("--maxmemory-policy", "noeviction")) as server:
        client = RedisOptions(server.url).connect()
        with closing(Member(place(server))) as one:
            one.data.set("vm", b"k", b"v")
            client.config_set("maxmemory", "1")
            for _ in range(3):
                with pytest.raises(StoreUnavailableError):
                    one.data.set("vm", b"k", b"w")
            found = one.data.get("vm", b"k")
            assert found is not None
            assert found.value == b"v"
            client.config_set("maxmemory", "0")
            assert one.data.set("vm", b"k", b"w") is SetResult.OK
        client.close()
    assert [r.getMessage().count("refused a call") for r in caplog.records] == [1]


def test_another_format_is_refused(redis_server: RedisServer) -> None:
    """Keys of another version are left alone."""
    client = redis.Redis(unix_socket_path=str(redis_server.socket))
    client.set("old:format", "mixer-state 0")
    client.close()
    with pytest.raises(StoreError, match="of the format 'mixer-state 0', and this version reads"):
        Member(Place(options=RedisOptions(redis_server.url, prefix="old")))


def test_prefixes_are_apart(redis_server: RedisServer) -> None:
    """Services with different prefixes share nothing."""
    options = RedisOptions(redis_server.url, prefix="one", timeout=TIMEOUT_S)
    other_options = replace(options, prefix="two")
    with (
        closing(Member(Place(options=options))) as one,
        closing(Member(Place(options=other_options))) as other,
    ):
        one.data.set("vm", b"k", b"v")
        one.register("vm", b"q")
        assert other.data.get("vm", b"k") is None
        assert other.queues.resolve("vm", b"q") is None


def test_the_dead_leave_nothing_for_ever(redis_server: RedisServer) -> None:
    """What a killed process would be told is forgotten by the server itself."""
    where = place(redis_server, prefix=f"dead-{next(_NUMBERS)}")  # type: ignore[arg-type]
    client = RedisOptions(redis_server.url).connect()
    with closing(Member(where)) as here, Peer(where) as other:
        queue = other.ask("register", "vm", b"q")
        other.kill()
        here.queues.enqueue(queue, b"m")
        assert where.options is not None
        left = [*client.scan_iter(f"{where.options.prefix}:mail:*")]
        assert len(left) == 1
        assert 0 < client.pttl(left[0]) <= 3_600_000
    client.close()


_NUMBERS = count()


def test_closing_leaves_no_thread(redis_server: RedisServer) -> None:
    """A closed store has no thread left, whether the server answers or not."""
    before = threading.active_count()
    Member(place(redis_server)).close()
    assert threading.active_count() == before


def test_closing_while_the_server_is_away(durable: RedisServer) -> None:
    """Closing neither fails nor waits for long without a server."""
    one = Member(place(durable))
    one.register("vm", b"q")
    durable.stop()
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < TIMEOUT_S


def test_limits_come_from_who_asks(redis_server: RedisServer) -> None:
    """A bound is checked by the server, with the limit of the process that sets."""
    options = RedisOptions(redis_server.url, prefix="limits", timeout=TIMEOUT_S)
    small = Place(options=options, limits=StateLimits(max_keys=1))
    make: Callable[[Place], closing[Member]] = lambda where: closing(Member(where))  # noqa: E731
    with make(small) as one, make(replace(small, limits=StateLimits())) as other:
        assert one.data.set("vm", b"1", b"") is SetResult.OK
        assert other.data.set("vm", b"2", b"") is SetResult.OK
        assert one.data.set("vm", b"3", b"") is SetResult.FULL


def test_one_module_does_not_make_the_server_seem_down(redis_server: RedisServer) -> None:
    """What would take longer to send than a call may is refused, and others go on."""
    options = RedisOptions(redis_server.url, prefix="large", timeout=TIMEOUT_S)
    large = bytes(MAX_SENT_BYTES + 1)
    with closing(redis_stores(options, StateLimits(), lambda _: None)) as stores:
        queue = stores.queues.register("vm", b"q", lambda _: None)
        assert queue is not None
        assert stores.data.set("vm", b"k", large) is SetResult.FULL
        assert stores.data.set("vm", large, b"") is SetResult.FULL
        assert stores.data.get("vm", large) is None
        assert stores.queues.enqueue(queue, large) is EnqueueResult.FULL
        assert stores.data.set("vm", b"k", large[2:]) is SetResult.OK
        assert stores.queues.enqueue(queue, large[1:]) is EnqueueResult.OK
        assert (stores.data.usage()["vm"].refused, stores.queues.dequeue(queue)) == (2, large[1:])


def test_dns_that_does_not_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost costs a call its timeout, however long the resolver takes."""
    asked, answer = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def slow(*given: Any, **options: Any) -> Any:
        if asked.is_set():
            answer.wait(TIMEOUT_S)
        return real(*given, **options)

    monkeypatch.setattr("socket.getaddrinfo", slow)
    with RedisServer(folder, port=(port := free_port())) as server:
        options = RedisOptions(f"redis://localhost:{port}", timeout=0.5)
        with closing(Member(Place(options=options))) as one:
            assert one.data.set("vm", b"k", b"v") is SetResult.OK
            asked.set()
            with closing(redis.Redis.from_url(f"unix://{server.socket}")) as other:
                other.client_kill_filter(_type="normal", skipme=True)
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                one.data.get("vm", b"k")
            assert time.monotonic() - began < 5.0
            names = [one.name for one in threading.enumerate()]
            assert names.count("mixer-redis-dns") <= 4
            answer.set()
            wait_until(lambda: answers(one))
            assert one.data.get("vm", b"k") is not None


def test_tls(folder: Path) -> None:
    """The server's certificate is checked, and its name is the one of the URL."""
    certificate, key = self_signed(folder, "localhost")
    port = free_port()
    options = {
        "--tls-port": str(port),
        "--tls-cert-file": str(certificate),
        "--tls-key-file": str(key),
        "--tls-ca-cert-file": str(certificate),
        "--tls-auth-clients": "no",
    }
    flat = tuple(part for option in options.items() for part in option)
    good = RedisOptions(
        f"rediss://localhost:{port}", timeout=TIMEOUT_S, ca_file=str(certificate), start_timeout=0.0
    )
    with RedisServer(folder, options=flat):
        with closing(Member(Place(options=good))) as one:
            assert one.data.set("vm", b"k", b"v") is SetResult.OK
        for bad in (
            replace(good, url=f"rediss://127.0.0.1:{port}"),
            replace(good, ca_file=None),
        ):
            with pytest.raises(StoreError, match="certificate verify failed"):
                Member(Place(options=bad))
