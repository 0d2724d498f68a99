"""Who the peer of a connection is, by its certificate."""

import ssl

import pytest

from mixer.transport.identity import Identity, identity_of
from tests.support.authority import Authority

AUTHORITY = Authority()


@pytest.mark.parametrize(
    ("uris", "dns", "name", "identity"),
    [
        (["spiffe://a.b/ns/c"], [], "", Identity("spiffe://a.b/ns/c", ("spiffe://a.b/ns/c",))),
        (
            ["spiffe://a.b/c"],
            ["D.example"],
            "cn",
            Identity("spiffe://a.b/c", ("spiffe://a.b/c", "d.example")),
        ),
        ([], ["a.example", "b.example"], "cn", Identity("a.example", ("a.example", "b.example"))),
        ([], [], "cn", Identity("CN=cn", ())),
        ([], [], "", Identity(None, ())),
        (["https://a.example"], [], "cn", Identity("CN=cn", ())),
    ],
)
def test_the_names_of_a_certificate(
    uris: list[str], dns: list[str], name: str, identity: Identity
) -> None:
    """A SPIFFE ID is who it is, else a DNS name, else the subject, as Envoy has it."""
    leaf = AUTHORITY.leaf(*uris, dns=dns, name=name)
    assert identity_of(leaf.certificate) == identity
    assert identity_of(ssl.PEM_cert_to_DER_cert(leaf.certificate.decode())) == identity


@pytest.mark.parametrize(
    "uris",
    [
        ["spiffe://a/b", "spiffe://a/c"],
        ["spiffe://a/b", "https://a.example"],
        ["spiffe://a/../b"],
        ["spiffe://a/b/"],
        ["spiffe://a/*"],
        ["spiffe://A/b"],
        ["spiffe://"],
        ["spiffe:///b"],
        ["spiffe://a/b?c"],
        ["SPIFFE://a/b"],
        ["spiffe://a:1/b"],
    ],
)
def test_what_is_no_spiffe_id(uris: list[str]) -> None:
    """More than one URI, or one that the standard does not allow, is nobody's id."""
    leaf = AUTHORITY.leaf(*uris, name="cn")
    assert identity_of(leaf.certificate) == Identity("CN=cn", ())


def test_a_subject_is_no_spiffe_id() -> None:
    """A common name that looks like an id gives nobody the principal of another."""
    leaf = AUTHORITY.leaf(name="spiffe://a/b")
    found = identity_of(leaf.certificate)
    assert found == Identity("CN=spiffe://a/b", ())


@pytest.mark.parametrize("data", [b"", b"-----BEGIN", b"\x30\x03\x01\x01\x00", b"no certificate"])
def test_a_certificate_that_cannot_be_read(data: bytes) -> None:
    """It is nobody's."""
    assert identity_of(data) == Identity(None, ())
