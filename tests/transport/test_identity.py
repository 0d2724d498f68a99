"""Who the peer of a connection is, by its certificate."""

import ssl

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

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


@pytest.mark.parametrize("dns", ["spiffe://a/b", "CN=a", "", "a b", "a.example/b"])
def test_a_dns_name_that_is_none(dns: str) -> None:
    """It gives nobody the principal of another, nor a place below an ID of a list."""
    leaf = AUTHORITY.leaf(dns=[dns, "c.example"], name="cn")
    assert identity_of(leaf.certificate) == Identity("c.example", ("c.example",))


@pytest.mark.parametrize(
    ("extension", "der"),
    [
        (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, "3002a500"),  # an ediPartyName
        (ExtensionOID.CRL_DISTRIBUTION_POINTS, "30083006a004a002a500"),
    ],
)
def test_names_that_nobody_uses(extension: ObjectIdentifier, der: str) -> None:
    """Their certificate is nobody's; a failure would end the call with a status."""
    unknown = x509.UnrecognizedExtension(extension, bytes.fromhex(der))
    leaf = AUTHORITY.leaf(name="cn", extension=unknown)
    assert identity_of(leaf.certificate) == Identity(None, ())


@pytest.mark.parametrize("data", [b"", b"-----BEGIN", b"\x30\x03\x01\x01\x00", b"no certificate"])
def test_a_certificate_that_cannot_be_read(data: bytes) -> None:
    """It is nobody's."""
    assert identity_of(data) == Identity(None, ())
