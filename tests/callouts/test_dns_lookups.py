"""Which names may be resolved, and what is told of them."""

import asyncio

import pytest

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster, DynamicUpstream, Endpoint
from mixer.callouts.ports import DnsAddress, DnsReply, UnknownClusterError
from tests.callouts.clients import callouts

CLUSTER = Cluster("up", (Endpoint("Up.Example", 80), Endpoint("10.0.0.1", 80)))
DYNAMIC = DynamicUpstream(("*.example.org",), (443,))


async def lookup(host: str) -> list[str]:
    """One name has addresses of both families, one a private one, and others have none."""
    known = {
        "up.example": ["10.1.1.1"],
        "both.example.org": ["1.1.1.1", "2606:4700::1", "2606:4700::2"],
        "private.example.org": ["10.1.1.1", "1.1.1.1"],
    }
    if host not in known:
        raise OSError("no such name")
    return known[host]


async def asked(name: str) -> DnsReply:
    """What is told of a name."""
    told: asyncio.Future[DnsReply] = asyncio.get_running_loop().create_future()
    async with callouts(CLUSTER, addresses=Addresses(lookup), dynamic=(DYNAMIC,)) as opened:
        opened.resolve_dns(name, told.set_result)
        assert not told.done()  # never from within the call
        async with asyncio.timeout(20):
            return await told


@pytest.mark.parametrize(
    ("name", "ips"),
    [
        ("up.example", ["10.1.1.1"]),
        ("UP.example.", ["10.1.1.1"]),
        ("both.example.org", ["2606:4700::1", "2606:4700::2"]),
        ("private.example.org", ["1.1.1.1"]),
        ("absent.example.org", []),
    ],
)
async def test_what_is_told(name: str, ips: list[str]) -> None:
    """IPv6 if there is any, as in Envoy; nothing that may not be connected to."""
    assert await asked(name) == tuple(DnsAddress(ip, 5) for ip in ips)


async def test_an_address_is_its_own_answer() -> None:
    """It needs no DNS, and has no time to live."""
    assert await asked("10.0.0.1") == (DnsAddress("10.0.0.1", 0),)


@pytest.mark.parametrize("name", ["", "up", "other", "example.org", "127.0.0.1", "a b.example.org"])
async def test_what_may_not_be_resolved(name: str) -> None:
    """Only hosts of clusters and of dynamic upstreams: a cluster's name is none."""
    with pytest.raises(UnknownClusterError, match="no cluster has the host"):
        await asked(name)


async def test_what_is_given_up_is_not_told() -> None:
    """Neither by whom it was asked for, nor by the end of all callouts."""
    told: list[DnsReply] = []
    waits = asyncio.Event()

    async def never(_host: str) -> list[str]:
        waits.set()
        await asyncio.Event().wait()
        return []

    async with callouts(CLUSTER, addresses=Addresses(never)) as opened:
        opened.resolve_dns("up.example", told.append)()
        opened.resolve_dns("up.example", told.append)
        await waits.wait()
        opened.resolve_dns("10.0.0.1", told.append)  # it is known, and only not told yet
    assert told == []
