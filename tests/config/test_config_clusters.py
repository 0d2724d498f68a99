"""Clusters and dynamic upstreams in the Mixer document."""

import ipaddress
from pathlib import Path

import pytest

from mixer.callouts.clusters import ClusterLimits, Discovery, Endpoint, HttpProtocol
from mixer.callouts.ports import UnknownClusterError
from mixer.config import loads
from mixer.engine.clusters import configured_clusters


def test_a_cluster_with_only_what_it_needs(mixer):
    """Name and endpoints are enough; the rest has Envoy's defaults."""
    found = configured_clusters(mixer("clusters: [{name: a, endpoints: ['b.c:80']}]")).find("a")
    assert found.endpoints == (Endpoint("b.c", 80),)
    assert (found.discovery, found.protocol) == (Discovery.STRICT_DNS, HttpProtocol.HTTP1)
    assert (found.tls, found.connect_timeout, found.limits) == (None, 5.0, ClusterLimits())


def test_a_cluster_with_everything(as_mixer):
    """Every field arrives, files relative to the folder of the YAML file."""
    text = as_mixer(
        "clusters:\n"
        "- name: a\n"
        "  type: LOGICAL_DNS\n"
        "  endpoints: ['B.c:443', '[::1]:8443']\n"
        "  protocol: HTTP2\n"
        "  tls: {sni: B.d, caFile: ca.pem, certFile: /c.pem, keyFile: k.pem,"
        " insecureSkipVerify: true}\n"
        "  connectTimeout: 250ms\n"
        "  limits: {maxConnections: 1, maxPendingRequests: 2, maxRequests: 3,"
        " maxResponseBytes: 1Mi}\n"
        "  aliases: [outbound|443|v1|x]"
    )
    found = configured_clusters(loads(text, base=Path("/base")).mixer).find("outbound|443|v1|x")
    assert found.endpoints == (Endpoint("b.c", 443), Endpoint("::1", 8443))
    assert (found.discovery, found.protocol) == (Discovery.LOGICAL_DNS, HttpProtocol.HTTP2)
    assert found.tls is not None
    assert (found.tls.sni, found.tls.verify) == ("b.d", False)
    files = (found.tls.ca_file, found.tls.cert_file, found.tls.key_file)
    assert files == (Path("/base/ca.pem"), Path("/c.pem"), Path("/base/k.pem"))
    assert (found.connect_timeout, found.limits) == (0.25, ClusterLimits(1, 2, 3, 1 << 20))


@pytest.mark.parametrize(
    ("endpoints", "discovery"),
    [("['1.2.3.4:1', '[::1]:1']", Discovery.STATIC), ("['1.2.3.4:1', 'a:1']", "STRICT_DNS")],
)
def test_the_endpoints_tell_the_type(mixer, endpoints, discovery):
    """Addresses alone are STATIC; with a name among them DNS is asked."""
    spec = mixer(f"clusters: [{{name: a, endpoints: {endpoints}}}]")
    assert configured_clusters(spec).find("a").discovery == discovery


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ("name: a", "endpoints: is required"),
        ("name: a, endpoints: []", "endpoints: must have at least 1 item"),
        ("name: '', endpoints: ['a:1']", "name: must have 1 to 255 characters"),
        ("name: a, endpoints: ['a:0']", "endpoints[0]: the port must be from 1 to 65535"),
        ("name: a, endpoints: ['unix:/s']", "endpoints[0]: must be host:port"),
        ("name: a, endpoints: ['a']", "endpoints[0]: must be host:port"),
        ("name: a, type: STATIC, endpoints: ['b:1']", "endpoints: a STATIC cluster has addresses"),
        ("name: a, type: EDS, endpoints: ['b:1']", "type: must be one of"),
        ("name: a, endpoints: ['b:1'], tls: {keyFile: k}", "tls.keyFile: needs certFile"),
        ("name: a, endpoints: ['b:1'], tls: {caFile: ''}", "tls.caFile: must not be empty"),
        ("name: a, endpoints: ['b:1'], connectTimeout: 0s", "connectTimeout: must be from 1ms"),
        ("name: a, endpoints: ['b:1'], limits: {maxRequests: 0}", "limits.maxRequests: must be at"),
    ],
)
def test_wrong_clusters_are_refused(mixer_refused, cluster, message):
    """What cannot work is found before the service starts, with its place."""
    [found] = mixer_refused(f"clusters: [{{{cluster}}}]")
    assert message in found


def test_names_of_clusters_are_unique(mixer_refused):
    """A name or alias belongs to one cluster."""
    [found] = mixer_refused(
        "clusters: [{name: a, endpoints: ['b:1']}, {name: c, endpoints: ['b:1'], aliases: [a]}]"
    )
    assert "both have the name 'a'" in found


def test_dynamic_upstreams(mixer):
    """Patterns, ports and networks are read; what they do not have stays unknown."""
    clusters = configured_clusters(
        mixer("dynamicUpstreams: [{hosts: ['*.Example.org', '[::1]'], ports: [443], tls: {},"
              " networks: [10.0.0.0/8]}]")
    )  # fmt: skip
    found = clusters.find("a.example.org:443")
    assert found.public_only
    assert found.tls is not None
    assert found.networks == (ipaddress.ip_network("10.0.0.0/8"),)
    assert ipaddress.ip_network("::1/128") in clusters.find("[::1]:443").networks
    with pytest.raises(UnknownClusterError):
        clusters.find("example.org:443")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("hosts: [], ports: [1]", "hosts: must have at least 1 item"),
        ("hosts: [a], ports: []", "ports: must have at least 1 item"),
        ("hosts: ['a*b'], ports: [1]", "hosts[0]: must be a DNS name"),
        ("hosts: [a], ports: [70000]", "ports[0]: must be at most 65535"),
        ("hosts: [a], ports: [1], networks: [10.0.0.1/8]", "networks[0]: must be an IP address or"),
    ],
)
def test_wrong_dynamic_upstreams_are_refused(mixer_refused, rule, message):
    """A pattern, port or network that cannot be meant is refused."""
    [found] = mixer_refused(f"dynamicUpstreams: [{{{rule}}}]")
    assert message in found
