"""DNS, and which addresses a dynamic upstream may have."""

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from mixer.callouts import addresses as module
from mixer.callouts.addresses import Addresses, is_public
from mixer.callouts.clusters import Cluster, Discovery, DynamicUpstream, Endpoint
from mixer.callouts.http_failures import NO_HEALTHY_UPSTREAM
from mixer.callouts.ports import HttpCall, NotSentError
from tests.callouts.clients import GET, callouts, reply_to, text, until
from tests.support.callout_upstream import Http1, Upstream


class Dns:
    """Tells what a test gives it."""

    def __init__(self, **hosts: Sequence[str] | OSError) -> None:
        self.hosts, self.asked = dict(hosts), 0

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.hosts[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


def _cluster(*hosts: str, **options: object) -> Cluster:
    return Cluster("up", tuple(Endpoint(h, 80) for h in hosts), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("discovery", "ips"),
    [
        (Discovery.STRICT_DNS, ["1.1.1.1", "1.1.1.2", "9.9.9.9"]),
        (Discovery.LOGICAL_DNS, ["1.1.1.1", "9.9.9.9"]),
    ],
)
async def test_each_name_has_its_addresses(discovery, ips):
    """STRICT_DNS takes every address, LOGICAL_DNS the first of each name."""
    found = Addresses(Dns(a=["1.1.1.1", "1.1.1.2", "1.1.1.1"]))
    cluster = _cluster("a", "9.9.9.9", discovery=discovery)
    assert [one.ip for one in await found.of(cluster)] == ips


async def test_an_answer_is_kept_and_refreshed(monkeypatch):
    """DNS is asked once for many, again when the answer is old, and a failure changes nothing."""
    dns = Dns(a=["1.1.1.1"])
    found = Addresses(dns)
    cluster = _cluster("a")
    assert found.known(cluster) is None
    await asyncio.gather(*(found.of(cluster) for _ in range(10)))
    assert dns.asked == 1
    monkeypatch.setattr(module, "REFRESH_S", -1.0)
    for answer, expected in ((["1.1.1.1"], "1.1.1.1"), (OSError("gone"), "1.1.1.1"),
                             (["2.2.2.2"], "2.2.2.2")):  # fmt: skip
        found._answers["a"] = (0.0, found._answers["a"][1])
        dns.hosts["a"] = answer
        asked = dns.asked
        assert found.known(cluster)
        await until(lambda asked=asked: dns.asked > asked and not found._asking)
        [address] = found.known(cluster) or ()
        assert address.ip == expected
    await found.close()


async def test_questions_under_way_are_bounded(monkeypatch, caplog):
    """A module that names host after host cannot keep DNS from everybody else for ever."""
    monkeypatch.setattr(module, "_MOST_QUESTIONS", 2)
    never: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    asked: list[str] = []

    async def lookup(host):
        asked.append(host)
        return await never if host != "late" else ["1.1.1.1"]

    found = Addresses(lookup)
    dynamic = [_cluster(host, public_only=True) for host in ("h0", "h1", "late")]
    waiting = [asyncio.create_task(found.of(one)) for one in dynamic[:2]]
    await until(lambda: len(asked) == 2)
    assert await found.of(dynamic[2]) == ()
    assert asked == ["h0", "h1"]
    assert "late" in caplog.text
    [address] = await found.of(_cluster("late"))  # one that is configured does not count
    assert address.ip == "1.1.1.1"
    never.set_result(["2.2.2.2"])
    await asyncio.gather(*waiting)


async def test_hosts_are_forgotten_at_last(monkeypatch):
    """A module that names one host after the other fills no memory."""
    monkeypatch.setattr(module, "_MOST_HOSTS", 4)
    found = Addresses(Dns(**{f"h{i}": ["1.1.1.1"] for i in range(9)}))
    for i in range(9):
        await found.of(_cluster(f"h{i}"))
    assert len(found._answers) == 4


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
     "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
     "64:ff9b::a00:1", "2001:0:7f00:1::", "2001:db8::1", "198.18.0.1", "192.0.2.1", "240.0.0.1",
     "::7f00:1", "fec0::1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "4000::1", "5f00::1", "3fff::1",
     "192.0.0.8"],
)  # fmt: skip
def test_addresses_that_are_not_public(ip):
    """Loopback, link-local, private and reserved addresses are not, in whatever form."""
    assert not is_public(ip)


@pytest.mark.parametrize(
    "ip", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_addresses_that_are_public(ip):
    """The open internet is."""
    assert is_public(ip)


@pytest.mark.parametrize(
    ("networks", "ips"),
    [
        ((), []),
        (("127.0.0.0/8",), ["127.0.0.1"]),
        (("10.0.0.0/8",), ["::ffff:10.0.0.1"]),
        (("::ffff:10.0.0.0/104",), ["::ffff:10.0.0.1"]),
    ],
)
async def test_a_dynamic_upstream_has_public_addresses_and_those_listed(networks, ips):
    """What DNS says of a dynamic upstream is checked, mapped addresses too."""
    dns = Dns(a=["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"])
    listed = tuple(map(ipaddress.ip_network, networks))
    cluster = _cluster("a", public_only=True, networks=listed)
    assert [one.ip for one in await Addresses(dns).of(cluster)] == ips


@pytest.mark.parametrize("name", ["rebind.test:{}", "outbound|{}||rebind.test"])
async def test_a_host_that_leads_inside_is_not_reached(name):
    """A name on the list that DNS leads to loopback has no healthy upstream."""
    async with Upstream(Http1()) as server:
        rule = DynamicUpstream(("*",), (server.port,))
        dns = Addresses(Dns(**{"rebind.test": ["127.0.0.1"]}))
        async with callouts(addresses=dns, dynamic=(rule,)) as client:
            call = HttpCall(name.format(server.port), GET)
            assert await reply_to(client, call) == NO_HEALTHY_UPSTREAM
            with pytest.raises(NotSentError, match="no healthy upstream"):
                client.http_call(call, lambda _: None)
            with pytest.raises(NotSentError, match="no healthy upstream"):
                client.http_call(HttpCall(f"127.0.0.1:{server.port}", GET), lambda _: None)
        assert server.connections == 0


async def test_a_listed_dynamic_upstream_is_reached():
    """An address that is listed can be connected to."""
    answer = Http1((b"HTTP/1.1 204 No\r\n\r\n",))
    async with Upstream(answer) as server:
        rule = DynamicUpstream(("127.0.0.1",), (server.port,))
        async with callouts(dynamic=(rule,)) as client:
            reply = await reply_to(client, HttpCall(f"outbound|{server.port}||127.0.0.1", GET))
    assert text(reply) == ("204", "")


async def test_dynamic_upstreams_are_bounded(monkeypatch):
    """A module cannot open connections to ever more upstreams."""
    monkeypatch.setattr("mixer.callouts.http._MOST_DYNAMIC", 2)
    async with Upstream(Http1((), "hang")) as server:
        rule = DynamicUpstream(("*",), (server.port,), (ipaddress.ip_network("127.0.0.0/8"),))
        async with callouts(dynamic=(rule,)) as client:
            cancels: list[Callable[[], None]] = []
            for i in range(2):
                call = HttpCall(f"127.0.0.{i + 1}:{server.port}", GET)
                cancels.append(client.http_call(call, lambda _: None))
            with pytest.raises(NotSentError, match="2 dynamic upstreams are in use"):
                client.http_call(HttpCall(f"127.0.0.3:{server.port}", GET), lambda _: None)
            await until(lambda: server.requests)
            for cancel in cancels:
                cancel()


def test_a_resolver_that_hangs_keeps_nobody_from_stopping(monkeypatch):
    """The loop ends although the system's resolver still waits for an answer."""
    asked, answer = threading.Event(), threading.Event()

    def hang(*_given, **_options):
        asked.set()
        answer.wait(30)
        return []

    async def ask():
        found = Addresses()
        task = asyncio.create_task(found.of(_cluster("a")))
        await until(asked.is_set)
        await found.close()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr("socket.getaddrinfo", hang)
    began = time.monotonic()
    asyncio.run(ask())
    took = time.monotonic() - began
    answer.set()
    assert took < 10
