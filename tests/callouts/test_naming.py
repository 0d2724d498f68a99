"""Which cluster a name means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.callouts.clusters import Cluster, DynamicUpstream, Endpoint
from mixer.callouts.naming import Clusters, is_address, is_host, parse_upstream
from mixer.callouts.ports import UnknownClusterError


def _cluster(name: str, *endpoints: str, aliases: tuple[str, ...] = ()) -> Cluster:
    places = tuple(Endpoint(e.rpartition(":")[0], int(e.rpartition(":")[2])) for e in endpoints)
    return Cluster(name, places, aliases=aliases)


CLUSTERS = Clusters(
    [
        _cluster("auth", "10.0.0.1:8080", "auth.internal:8081"),
        _cluster("plain", "svc.ns.svc.cluster.local:80"),
        _cluster("secure", "svc.ns.svc.cluster.local:443", aliases=("outbound|443|v1|svc.ns",)),
        _cluster("mapped", "127.0.0.1:5000", aliases=("Shop.ns:80", "any.ns")),
        _cluster("example.com", "example.com:443"),
        _cluster("auth.internal:8081", "10.9.9.9:1"),
    ]
)


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("auth", "auth"),
        ("any.ns", "mapped"),
        ("auth.internal:8081", "auth.internal:8081"),
        ("outbound|443|v1|svc.ns", "secure"),
        ("outbound|80||svc.ns.svc.cluster.local", "plain"),
        ("outbound|443||SVC.ns.svc.cluster.local.", "secure"),
        ("svc.ns.svc.cluster.local:443", "secure"),
        ("outbound|80||shop.ns", "mapped"),
        ("outbound|7||any.ns", "mapped"),
        ("outbound|443||example.com", "example.com"),
        ("outbound|80||auth.static", "auth"),
        ("outbound|8081||auth.dns", "auth"),
        ("outbound|8080||auth.dns", "auth"),
        ("10.0.0.1:8080", "auth"),
    ],
)
def test_names_that_mean_a_cluster(name, cluster):
    """A name, an alias, a host with a port, and what Istio and Higress write, are found."""
    assert CLUSTERS.find(name).name == cluster


@pytest.mark.parametrize(
    "name",
    [
        "",
        "AUTH",
        "auth:80",
        "outbound|80||auth",
        "outbound|80||auth.dns",
        "outbound|80|v1|auth.static",
        "outbound|81||shop.ns",
        "outbound|80||example.com",
        "outbound|0||any.ns",
        "outbound|99999||any.ns",
        "inbound|80||any.ns",
        "outbound|80||any.ns|",
        "auth\n",
        "any.ns:80\n",
    ],
)
def test_other_names_are_unknown(name):
    """Nothing is guessed: a port, a subset or a case that differs means nothing."""
    with pytest.raises(UnknownClusterError):
        CLUSTERS.find(name)


def test_an_unknown_name_is_told_with_what_there_is():
    """The error has the name, shortened if it is long, and the names of the clusters."""
    with pytest.raises(UnknownClusterError, match="no cluster 'x': there are auth, plain, secure"):
        CLUSTERS.find("x")
    with pytest.raises(UnknownClusterError, match=r"no cluster 'x{100}'\.\.\.: none is configured"):
        Clusters().find("x" * 1000)
    many = Clusters([_cluster(f"c{i}", "a:1") for i in range(30)])
    with pytest.raises(UnknownClusterError, match=r"c18, c19 and 10 more$"):
        many.find("a:2")


DYNAMIC = Clusters(
    [_cluster("known", "a.example.com:443")],
    [
        DynamicUpstream(("*.example.com", "10.0.0.7"), (443, 8443), connect_timeout=3.0),
        DynamicUpstream(("*",), (8080,)),
    ],
)


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("b.example.com:443", ("b.example.com", 443)),
        ("outbound|8443||c.b.Example.com", ("c.b.example.com", 8443)),
        ("anything:8080", ("anything", 8080)),
        ("[0:0::1]:8080", ("::1", 8080)),
    ],
)
def test_a_dynamic_upstream_is_made_up(name, endpoint):
    """What is on the list gets a cluster of its own, which reaches public addresses only."""
    found = DYNAMIC.find(name)
    assert (found.endpoints, found.public_only, found.networks) == ((endpoint,), True, ())


def test_a_cluster_goes_before_a_dynamic_upstream():
    """The list of dynamic upstreams does not hide a cluster."""
    assert DYNAMIC.find("a.example.com:443").name == "known"


def test_an_address_that_is_listed_may_be_connected_to():
    """An address in ``hosts`` needs no network of its own."""
    found = DYNAMIC.find("10.0.0.7:443")
    assert [str(one) for one in found.networks] == ["10.0.0.7/32"]
    assert found.connect_timeout == 3.0


@pytest.mark.parametrize(
    "name",
    [
        "example.com:443",
        "b.example.com:80",
        "badexample.com:443",
        "outbound|8080||x.static",
        "outbound|8080|v1|x",
        "b.example.com",
        "a b:8080",
        "[::1%lo]:8080",
        "x/y:8080",
        "user@x:8080",
    ],
)
def test_what_is_not_on_the_list_is_unknown(name):
    """Another host, another port, a subset, and what is no host, are refused."""
    with pytest.raises(UnknownClusterError):
        DYNAMIC.find(name)


@given(st.text(alphabet="ab.-_:|[]0123456789 \n%@/outboundstaticdns", max_size=40))
def test_any_name_is_found_or_unknown(name):
    """Whatever a module writes, it finds a cluster or is told that there is none."""
    try:
        found = DYNAMIC.find(name)
    except UnknownClusterError:
        return
    assert found.name == "known" or found.public_only


@given(st.sampled_from(["svc.ns", "a-b.c", "10.1.2.3"]), st.integers(1, 65535))
def test_both_spellings_of_an_upstream_are_one(host, port):
    """``HOST:PORT`` and ``outbound|PORT||HOST`` are read alike."""
    endpoint = parse_upstream(f"{host}:{port}")
    assert endpoint == (host, port) == parse_upstream(f"outbound|{port}||{host.upper()}.")
    assert is_host(host)
    assert str(Endpoint("::1", port)) == f"[::1]:{port}"


def test_a_name_without_end_leaves_nothing_behind() -> None:
    """A module may call a cluster by megabytes: they are not kept among the addresses seen."""
    is_address.cache_clear()
    for number in range(4):
        for name in (f"{number}{'a' * 2_000_000}:80", f"outbound|80||{number}{'a' * 2_000_000}"):
            assert parse_upstream(name) is None
    assert is_address.cache_info().currsize == 0
