"""HTTP callouts over real sockets: what goes out, what comes back, when, and what is left."""

import asyncio
import gc
from dataclasses import replace

import psutil
import pytest

from mixer.callouts.clusters import ClusterLimits, HttpProtocol
from mixer.callouts.dialing import Dialer
from mixer.callouts.ports import HttpCall, NotSentError, UnknownClusterError
from tests.callouts.clients import GET, OK, POST, callouts, reply_to, static, text, until, upstream
from tests.support.callout_upstream import Http1, Http2, Upstream

CALL = HttpCall("up", GET)
ECHO2 = Http2(
    (
        lambda c, s: c.send_headers(s, [(b":status", b"200"), (b"x-a", b"1")]),
        lambda c, s: c.send_data(s, b"hi"),
        lambda c, s: c.send_headers(s, [(b"x-t", b"2")], end_stream=True),
    )
)
PLAIN2 = Http2(
    (
        lambda c, s: c.send_headers(s, [(b":status", b"200")]),
        lambda c, s: c.send_data(s, b"hi", end_stream=True),
    )
)
SILENT = Http1((), "hang")
FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"


async def test_trailers_go_both_ways_over_http1():
    """A request's trailers are sent in chunked coding, and those of the response come back."""
    answer = Http1(
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",)
    )
    async with upstream(answer) as (server, client):
        reply = await reply_to(client, HttpCall("up", POST, b"body", ((b"X-Sum", b"7"),)))
    assert reply is not None
    assert (reply.body, reply.trailers) == (b"hi", ((b"x-t", b"1"),))
    [(head, body, trailers)] = server.requests
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert (body, trailers) == (b"body", [(b"x-sum", b"7")])


async def test_trailers_go_both_ways_over_http2():
    """Over HTTP/2 trailers are headers behind the body."""
    async with upstream(ECHO2, protocol=HttpProtocol.HTTP2) as (server, client):
        call = HttpCall("up", POST, b"body", ((b"X-Sum", b"7"), (b"connection", b"x")))
        reply = await reply_to(client, call)
    assert reply is not None
    assert reply.headers[:2] == ((b":status", b"200"), (b"x-a", b"1"))
    assert (reply.body, reply.trailers) == (b"hi", ((b"x-t", b"2"),))
    [(_, body, trailers)] = server.requests
    assert (body, trailers) == (b"body", [(b"x-sum", b"7")])


@pytest.mark.parametrize(
    ("protocol", "answer"), [(HttpProtocol.HTTP1, OK), (HttpProtocol.HTTP2, PLAIN2)]
)
async def test_a_connection_is_used_again(protocol, answer):
    """Callouts one after the other share a connection."""
    async with upstream(answer, protocol=protocol) as (server, client):
        for _ in range(5):
            assert text(await reply_to(client)) == ("200", "hi")
    assert (server.connections, len(server.requests)) == (1, 5)


async def test_a_large_body_follows_the_windows_of_http2():
    """A body beyond the upstream's windows goes out as it makes room."""
    body = bytes(range(256)) * 4096
    async with upstream(PLAIN2, protocol=HttpProtocol.HTTP2) as (server, client):
        assert text(await reply_to(client, HttpCall("up", POST, body))) == ("200", "hi")
    assert server.requests[0][1] == body


async def test_none_waits_for_a_connection_that_another_one_has(monkeypatch):
    """One that comes after a connection was made, before its dial ended, gets one of its own."""
    dial, held = Dialer.dial, asyncio.Event()

    async def ends_late(self, factory, address):
        made = await dial(self, factory, address)
        await held.wait()
        return made

    monkeypatch.setattr(Dialer, "dial", ends_late)
    async with upstream(SILENT) as (server, client):
        client.http_call(CALL, lambda _reply: None)
        await until(lambda: len(server.requests) == 1)
        client.http_call(CALL, lambda _reply: None)
        await until(lambda: len(server.requests) == 2)
        held.set()


async def test_a_thousand_callouts_at_once():
    """A thousand callouts at once each get their own answer, within the limit of connections."""
    async with upstream(limits=ClusterLimits(max_connections=50)) as (server, client):
        replies = await asyncio.gather(*(reply_to(client) for _ in range(1000)))
        assert {text(one) for one in replies} == {("200", "hi")}
        assert server.connections <= 50


async def test_a_thousand_callouts_at_once_share_one_http2_connection():
    """Over HTTP/2 they share connections, no more at a time than the upstream takes."""
    async with upstream(PLAIN2, protocol=HttpProtocol.HTTP2) as (server, client):
        replies = await asyncio.gather(*(reply_to(client) for _ in range(1000)))
        assert {text(one) for one in replies} == {("200", "hi")}
        assert server.connections <= 10


async def test_an_answer_that_drips_is_put_together():
    """However the answer is cut, it is whole in the end."""
    whole = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nhi"
    async with upstream(Http1(tuple(bytes([one]) for one in whole))) as (_, client):
        assert text(await reply_to(client)) == ("200", "hi")


async def test_the_time_of_a_callout_runs_out_however_the_upstream_drips():
    """A server that goes on sending a little does not put the timeout off."""
    drips = Http1((b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *([b"x"] * 1000)))
    async with upstream(drips) as (_, client):
        assert await reply_to(client, replace(CALL, timeout=0.2)) is None


async def test_no_callback_comes_from_within_the_call():
    """Even what fails at once is told later."""
    async with callouts(static(1)) as client:
        told: list[object] = []
        client.http_call(replace(CALL, headers=(*GET, (b"x", b"\n"))), told.append)
        client.http_call(CALL, told.append)
        assert not told
        await until(lambda: len(told) == 2)


@pytest.mark.parametrize("protocol", [HttpProtocol.HTTP1, HttpProtocol.HTTP2])
async def test_no_callback_comes_after_a_cancellation(protocol):
    """A callout that is given up is not told of, wherever it was; the next one works."""
    answer = OK if protocol is HttpProtocol.HTTP1 else PLAIN2
    async with upstream(answer, protocol=protocol) as (_, client):
        told: list[object] = []
        waiting = client.http_call(CALL, told.append)  # for a connection
        waiting()
        waiting()
        assert text(await reply_to(client)) == ("200", "hi")
        client.http_call(CALL, told.append)()  # under way
        over = client.http_call(CALL, lambda reply: told.append("over"))
        await until(lambda: told)
        over()
        assert text(await reply_to(client)) == ("200", "hi")
        assert told == ["over"]


async def test_a_cancellation_between_the_end_and_the_callback_counts():
    """An answer that is there but not told yet is not told any more."""
    async with callouts(static(1)) as client:
        told: list[object] = []
        cancel = client.http_call(replace(CALL, headers=(*GET, (b"x", b"\n"))), told.append)
        cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not told


async def test_a_callback_can_cancel_a_callout_that_ended_with_its_own():
    """Of two that fail together, the first callback can still give the other one up."""
    async with callouts(static(1)) as client:
        told: list[object] = []
        client.http_call(CALL, lambda reply: (told.append(1), cancel()))
        cancel = client.http_call(CALL, lambda reply: told.append(2))
        await until(lambda: told)
        await reply_to(client)
        assert told == [1]


async def test_closing_ends_everything():
    """Callouts under way end without an answer, and no socket stays open."""
    process = psutil.Process()
    before = len(process.net_connections())
    async with upstream(SILENT) as (server, client):
        told: list[object] = []
        for _ in range(20):
            client.http_call(CALL, told.append)
        await until(lambda: len(server.requests) == 20)
        await client.close()
        await until(lambda: told == [None] * 20)
        await until(lambda: server.open == 0)
    gc.collect()
    assert len(process.net_connections()) <= before


@pytest.mark.parametrize("pieces", [(*OK.pieces, FORGED), (OK.pieces[0] + FORGED,)])
async def test_a_call_after_bytes_that_nobody_asked_for_has_a_connection_of_its_own(pieces):
    """What comes behind an answer, or with it, never becomes the answer to another callout."""
    async with upstream(Http1(pieces)) as (server, client):
        assert text(await reply_to(client)) == ("200", "hi")
        await until(lambda: server.open == 0)
        assert text(await reply_to(client)) == ("200", "hi")
        assert server.connections == 2


async def test_a_connection_that_the_upstream_closed_is_not_used():
    """A connection that ended while it was idle is noticed."""
    async with upstream(Http1(OK.pieces, "close")) as (server, client):
        for _ in range(3):
            assert text(await reply_to(client)) == ("200", "hi")
            await until(lambda: server.open == 0)
        assert server.connections == 3


async def test_nothing_is_sent_twice():
    """An upstream that ends the second exchange of a connection gets it once, as in Envoy."""

    class Fickle(Upstream):
        async def _http1(self, reader, writer):
            await self._request(reader, b"")
            writer.write(OK.pieces[0])
            await self._request(reader, b"")
            self.requests.append((b"", b"", None))

    async with Fickle(OK) as server, callouts(static(server.port)) as client:
        assert text(await reply_to(client)) == ("200", "hi")
        status, body = text(await reply_to(client)) or ("", "")
        assert (status, body.rpartition(": ")[2]) == ("503", "connection termination")
        assert len(server.requests) == 1


async def test_goaway_lets_what_is_open_end():
    """Answers behind a GOAWAY arrive, and the next callout has a new connection."""

    def goaway(connection, stream):
        connection._data_to_send += b"\0\0\x08\x07\0\0\0\0\0" + stream.to_bytes(4, "big") + bytes(4)

    answer = Http2((goaway, *PLAIN2.steps))
    async with upstream(answer, protocol=HttpProtocol.HTTP2) as (server, client):
        for _ in range(2):
            assert text(await reply_to(client)) == ("200", "hi")
        assert server.connections == 2


async def test_endpoints_take_turns():
    """Each endpoint gets its share."""
    async with Upstream(OK) as one, Upstream(OK) as other:
        async with callouts(static(one.port, other.port)) as client:
            for _ in range(6):
                await reply_to(client)
        assert (len(one.requests), len(other.requests)) == (3, 3)


async def test_too_many_that_wait_are_refused_at_once():
    """Beyond the pending requests of the cluster a callout is not sent, as in Envoy."""
    limits = ClusterLimits(max_connections=1, max_pending_requests=2)
    async with upstream(SILENT, limits=limits) as (server, client):
        cancels = [client.http_call(CALL, lambda _: None) for _ in range(2)]
        with pytest.raises(NotSentError, match="2 requests wait for a connection"):
            client.http_call(CALL, lambda _: None)
        await until(lambda: server.requests)
        cancels.append(client.http_call(CALL, lambda _: None))
        for cancel in cancels:
            cancel()
        assert server.connections == 1


async def test_too_many_requests_overflow():
    """Beyond the requests of the cluster Envoy's answer says so."""
    limits = ClusterLimits(max_requests=1)
    async with upstream(SILENT, limits=limits) as (server, client):
        cancel = client.http_call(CALL, lambda _: None)
        await until(lambda: server.requests)
        reply = await reply_to(client)
        cancel()
    assert reply is not None
    assert reply.headers[1] == (b"x-envoy-overloaded", b"true")
    assert reply.body.endswith(b"reset reason: overflow")


@pytest.mark.parametrize("protocol", [HttpProtocol.HTTP1, HttpProtocol.HTTP2])
async def test_callouts_that_end_in_any_way_leave_their_room_to_others(protocol):
    """Cancelled, timed out, failed and answered callouts all give back what they took."""
    limits = ClusterLimits(max_connections=1, max_pending_requests=1, max_requests=1)
    hang = Http1((), "hang") if protocol is HttpProtocol.HTTP1 else Http2((), "hang")
    async with upstream(hang, limits=limits, protocol=protocol) as (server, client):
        for _ in range(3):
            assert text(await reply_to(client, replace(CALL, timeout=0.02))) == (
                "504",
                "upstream request timeout",
            )
            await until(lambda: not server.open or protocol is HttpProtocol.HTTP2)
            before = len(server.requests)
            cancel = client.http_call(CALL, lambda _: None)
            if protocol is HttpProtocol.HTTP1:
                await until(lambda before=before: len(server.requests) > before)
            cancel()
            await until(lambda: not server.open or protocol is HttpProtocol.HTTP2)
    async with callouts(static(1, limits=limits)) as client:
        for _ in range(3):
            status, _body = text(await reply_to(client)) or ("", "")
            assert status == "503"


async def test_every_endpoint_may_have_one_connection():
    """The limit of connections starves no endpoint, as in Envoy."""
    async with Upstream(OK) as one, Upstream(OK) as other:
        limits = ClusterLimits(max_connections=1)
        async with callouts(static(one.port, other.port, limits=limits)) as client:
            replies = await asyncio.gather(*(reply_to(client) for _ in range(20)))
            assert {text(reply) for reply in replies} == {("200", "hi")}
            assert (one.connections, other.connections) == (1, 1)


async def test_a_body_beyond_its_bound_has_no_answer():
    """The bound of the cluster holds, one byte more has no answer."""
    body = Http1((b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2000,))
    for most, expected in ((2000, True), (1999, False)):
        limits = ClusterLimits(max_response_bytes=most)
        async with upstream(body, limits=limits) as (_, client):
            assert (await reply_to(client) is not None) is expected


async def test_an_unknown_cluster_is_told_at_once():
    """A name that means nothing raises from within the call."""
    async with callouts(static(1)) as client:
        with pytest.raises(UnknownClusterError, match="no cluster 'other': there are up"):
            client.http_call(HttpCall("other", GET), lambda _: None)
