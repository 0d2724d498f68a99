"""Requests as a front end makes them whose callers say what they want."""

from typing import Any

from mixer.engine import Request
from tests.engine.conftest import request


def check_request(*headers: tuple[str, str], **attributes: Any) -> Request:
    """Ask whether a request may pass."""
    return request(*headers, attributes={"mixer.operation": "check", **attributes})


def quota_request(
    name: str, amount: int, *headers: tuple[str, str], best_effort: bool = False, **attributes: Any
) -> Request:
    """Ask for an amount of a quota."""
    own = {
        "mixer.operation": "quota",
        "mixer.quota": {"name": name, "amount": amount, "best_effort": best_effort},
    }
    return request(*headers, attributes={**own, **attributes})
