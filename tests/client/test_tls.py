"""TLS settings of a client."""

from pathlib import Path

import pytest

from mixer.client import ClientSettings, MixerClient, TlsSettings
from tests.support.authority import Authority

AUTHORITY = Authority()


def test_a_certificate_needs_its_key() -> None:
    """One without the other is refused when the settings are made."""
    for given in ({"cert_file": "a"}, {"key_file": "a"}):
        with pytest.raises(ValueError, match="cert_file and key_file must be given together"):
            TlsSettings(**given)  # type: ignore[arg-type]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """They are named when the client is made, which would only fail to connect otherwise."""
    cert_file, _ = AUTHORITY.leaf().files(tmp_path)
    _, other_key = AUTHORITY.leaf().files(tmp_path, "other")
    bad = tmp_path / "bad.pem"
    bad.write_text("x")
    for tls, message in (
        (TlsSettings(ca_file=tmp_path / "none.pem"), "none.pem: No such file"),
        (TlsSettings(ca_file=bad), "bad.pem: "),
        (TlsSettings(cert_file=cert_file, key_file=other_key), "other.key: .*MISMATCH"),
    ):
        with pytest.raises(ValueError, match=message):
            MixerClient(ClientSettings(address="localhost:1", tls=tls))
