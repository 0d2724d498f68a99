"""``tls`` and ``callers`` of a listener: how it is reached, and by whom."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from mixer.config.model import Model, dns_subdomain
from mixer.config.secret import located

SPIFFE = "spiffe://"
BELOW = "/*"
"""At the end of a SPIFFE ID: all of those below it."""

_LONGEST_ID = 2048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


class ListenerTls(Model):
    """The files of a listener's TLS; they are read again when they change.

    Attributes:
        cert_file: PEM of its certificate and of those between that and an authority; in YAML
            absolute, or relative to the folder of the file, as the others.
        key_file: PEM of its key; where that is in ``cert_file``, None.
        client_ca_file: PEM of the authorities that a caller's certificate must come from. With it
            every caller needs one; without it none is asked for one.
    """

    cert_file: Path
    key_file: Path | None = None
    client_ca_file: Path | None = None

    @field_validator("cert_file", "key_file", "client_ca_file", mode="before")
    @classmethod
    def _locate(cls, value: object, info: ValidationInfo) -> object:
        return located(value, info)


def check_spiffe_id(text: str) -> str:
    """Check a SPIFFE ID, such as ``spiffe://example.org/ns/a``.

    Source: the SPIFFE ID standard, section 2.

    Raises:
        ValueError: It is none.
    """
    domain, *segments = text.removeprefix(SPIFFE).split("/")
    if len(text) > _LONGEST_ID:
        raise ValueError(f"a SPIFFE ID has at most {_LONGEST_ID} characters")
    if not text.startswith(SPIFFE) or not _TRUST_DOMAIN.fullmatch(domain):
        raise ValueError(
            "a SPIFFE ID is spiffe:// and a trust domain, which has only a-z, 0-9, '.', '-' and"
            " '_', perhaps with a path"
        )
    if any(one in (".", "..") or not _SEGMENT.fullmatch(one) for one in segments):
        raise ValueError(
            "the segments of a SPIFFE ID's path have only A-Z, a-z, 0-9, '.', '-' and '_'; '/*' may"
            " be at its end"
        )
    return text


def _pattern(text: str) -> str:
    if "/" in text:
        return check_spiffe_id(text.removesuffix(BELOW)) and text
    try:
        return dns_subdomain(text)
    except ValueError:
        raise ValueError(
            "must be a SPIFFE ID such as spiffe://example.org/ns/a, spiffe://example.org/ns/* for"
            " all below it, or a DNS name"
        ) from None


CallerPattern = Annotated[str, AfterValidator(_pattern)]
"""A SPIFFE ID, all of those below a path, or a DNS name."""


def some_callers(callers: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
    """See that a list of callers has any, and that these have to show who they are.

    Raises:
        ValueError: It has none, or they have not.
    """
    if callers is None or "tls" not in info.data:
        return callers
    if not callers:
        raise ValueError("must have at least 1 item: an empty list would let nobody in")
    tls = info.data["tls"]
    if tls is None or tls.client_ca_file is None:
        raise ValueError("needs tls.clientCaFile: without it no caller shows who it is")
    return callers
