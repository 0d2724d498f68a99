"""Regular expressions for comparisons that CEL has no function for."""

import re
from urllib.parse import urlsplit

from mixer.convert.cexl.cel import Cel, method, string
from mixer.convert.cexl.errors import CexlError

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOT = r"\.?"
_LONGEST_NAME = 254


def fits(subject: Cel, pattern: str) -> Cel:
    """Whether the whole of a text has a form."""
    return method(subject, "matches", string(rf"^(?:{pattern})$"))


def ignoring_case(text: str) -> str:
    """Whatever `text` is the lower case of; ASCII.

    Raises:
        CexlError: It is not ASCII, where the rules of cases differ, or no lower case at all.
    """
    if not text.isascii():
        raise CexlError("toLower() can be compared with ASCII only: CEL has no lower case")
    if text != text.lower():
        raise CexlError("this is never true: toLower() has no upper-case letters")
    return any_case(text)


def any_case(text: str) -> str:
    """A text of ASCII in upper and lower case."""
    return "".join(
        f"[{one.lower()}{one.upper()}]" if one.isalpha() else re.escape(one) for one in text
    )


def dns_name(text: str) -> str:
    """A host name as it is compared: case and a dot at the end do not count.

    Raises:
        CexlError: It is none that can be compared without the rules for international names.
    """
    if len(text) > _LONGEST_NAME or not _DNS_NAME.fullmatch(text) or "xn--" in text.lower():
        raise CexlError(f"{text[:80]!r} is no host name of ASCII letters, digits and '-'")
    return any_case(text.rstrip(".")) + _DOT


def email(text: str) -> str:
    """An address as it is compared: the part before the ``@`` as it is.

    Raises:
        CexlError: It is none of the simple form.
    """
    local, _, domain = text.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or domain.endswith("."):
        raise CexlError(f"{text[:80]!r} is no address of the form name@host")
    return re.escape(local) + "@" + dns_name(domain).removesuffix(_DOT)


def uri(text: str) -> str:
    """A URI as it is compared: case does not count in the scheme, and in the host of http.

    Raises:
        CexlError: It is none, or has parts that would have to be normalized.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise CexlError(f"{text[:80]!r} is no URI") from None
    scheme, _, rest = text.partition(":")
    if not parts.scheme or not text.isascii() or "%" in text or "@" in parts.netloc:
        raise CexlError(f"{text[:80]!r} is no URI that can be compared as text")
    if parts.scheme not in {"http", "https"}:
        return f"{any_case(scheme)}:{re.escape(rest)}"
    authority = dns_name(parts.hostname or "") + (f":{port}" if port is not None else "")
    behind = rest.removeprefix("//")[len(parts.netloc) :]
    return f"{any_case(scheme)}://{authority}{re.escape(behind)}"
