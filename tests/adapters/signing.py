"""Requests signed as RFC 9421 has it, by a signer of the tests' own."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

SECRET = bytes(range(32))
COVERED = ("@method", "@authority", "@path", "@query")


def content_digest(body: bytes) -> str:
    """The header of RFC 9530."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_of(components: Mapping[str, str], parameters: str, secret: bytes) -> str:
    """The signature, in base64, over components in their order."""
    lines = [f'"{name}": {value}' for name, value in components.items()]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    return base64.b64encode(hmac.digest(secret, base.encode(), "sha256")).decode()


def signed(
    created: int,
    nonce: str = "n1",
    *,
    method: str = "GET",
    authority: str = "shop.example",
    target: str = "/orders?id=1",
    body: bytes | None = None,
    covered: Sequence[str] = COVERED,
    key_id: str = "billing",
    secret: bytes = SECRET,
    more: str = "",
    **headers: str,
) -> dict[str, str]:
    """The headers of a request, its signature among them.

    Args:
        created: Seconds since 1970.
        nonce: Used once.
        method: Of the request, as are the next three.
        authority: Its host.
        target: Its path and query.
        body: None for a request without one; of another, the digest is covered too.
        covered: The components that are signed.
        key_id: Which key it says that it is.
        secret: What it is signed with.
        more: Further parameters, as they are written.
        **headers: Further headers, with underscores for hyphens.
    """
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        fields["content-digest"] = content_digest(body)
        covered = (*covered, "content-digest")
    parts = urlsplit(target)
    values = {
        "@method": method,
        "@authority": authority,
        "@path": parts.path,
        "@query": f"?{parts.query}",
        "@request-target": target,
        **fields,
    }
    names = " ".join(f'"{name}"' for name in covered)
    parameters = f'({names});created={created};keyid="{key_id}";nonce="{nonce}"{more}'
    signature = signature_of({name: values[name] for name in covered}, parameters, secret)
    return {
        ":method": method,
        ":authority": authority,
        ":path": target,
        **fields,
        "signature-input": f"sig1={parameters}",
        "signature": f"sig1=:{signature}:",
    }
