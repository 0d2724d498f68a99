"""The page about rules: its examples do what it says."""

import re
from pathlib import Path

import pytest
import yaml

from mixer.api import ext_authz
from mixer.config import RuledAdapter, loads
from mixer.engine import Decision, Engine
from tests.e2e.calls import check_request
from tests.engine.conftest import request

_PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
_TENANTS, _SHOP = re.findall(r"```yaml\n(.*?)```", _PAGE, flags=re.DOTALL)
_ASKED = re.findall(r"^\| `([^`]+)` \| (?:`(\w+)`)? ?\| (.+) \|$", _PAGE, flags=re.MULTILINE)
_HOSTS = [row for row in _ASKED if re.search(r"[.]com(:443)?/", row[0])]


def test_the_page_has_the_examples_that_are_executed() -> None:
    """None is lost when somebody writes the table otherwise."""
    assert len(_ASKED) >= 7
    assert len(_HOSTS) == 7


@pytest.mark.parametrize(("asked", "key", "told"), _HOSTS)
def test_the_requests_of_the_example_are_answered_so(asked: str, key: str, told: str) -> None:
    """Each row of the table: the verdict, and by which rule."""
    host, _, path = asked.partition("/")
    headers = {"x_api_key": key} if key else {}
    decoded = ext_authz.decode(check_request(f"/{path}", **headers))
    assert decoded is not None
    decoded.headers.replace(b":authority", host.encode())
    with Engine(loads(_TENANTS)) as engine:
        assert not engine.broken
        decision = engine.decide(decoded)
    assert isinstance(decision, Decision)
    if told.startswith("allowed"):
        assert decision.verdict == "allow"
        assert ("auth" in decision.adapters) is ("does not run" not in told)
    else:
        assert decision.response is not None
        assert told.startswith(str(decision.response.status))
    named = re.search(r"by rule `(\w+)`", told)
    assert decision.rule == (named[1] if named else "")


@pytest.mark.parametrize(
    ("labels", "denied"), [({"app": "shop"}, True), ({"app": "other"}, False), (None, False)]
)
def test_the_example_for_labels(labels: dict[str, str] | None, denied: bool) -> None:
    """The adapter runs only where labels are told and fit."""
    attributes = {} if labels is None else {"destination.labels": labels}
    with Engine(loads(_SHOP)) as engine:
        decision = engine.decide(request(attributes=attributes))
    assert isinstance(decision, Decision)
    assert (decision.verdict == "deny") is denied


def test_every_field_of_an_adapter_in_a_rule_is_documented() -> None:
    """The table tells each."""
    for name, field in RuledAdapter.model_fields.items():
        assert f"`{field.alias or name}" in _PAGE


def test_the_examples_have_no_notices() -> None:
    """Nothing in them does less than it says."""
    for text in (_TENANTS, _SHOP):
        assert loads(text).notices == ()
        assert all(yaml.safe_load_all(text))
