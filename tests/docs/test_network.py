"""The page about TCP connections does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.api.ext_authz.attributes import CONNECTION_RESOLVERS
from mixer.api.network_ext_proc.attributes import RESOLVERS
from mixer.config import loads
from mixer.engine import Decision, Engine, Verdict
from mixer.runner.tcp import connection_attributes

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "network.md").read_text()


@pytest.mark.parametrize(
    ("address", "port", "verdict", "reason"),
    [
        ("10.1.2.3:4711", 5432, Verdict.ALLOW, ""),
        ("192.0.2.7:4711", 5432, Verdict.ALLOW, ""),
        ("11.1.2.3:4711", 5432, Verdict.DENY, "denied_by_networks"),
        ("11.1.2.3:4711", 6379, Verdict.ALLOW, ""),
    ],
)
def test_the_allow_list(address: str, port: int, verdict: Verdict, reason: str) -> None:
    """The example lets in whom the page says."""
    [example] = re.findall(r"```yaml\n(.*?)```", _PAGE, flags=re.DOTALL)
    attributes = connection_attributes({"source.address": address, "destination.port": port})
    with Engine(loads(example)) as engine:
        assert engine.notices == ()
        decision = engine.check_connection(attributes)
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.reason) == (verdict, reason)


def _rows() -> dict[str, list[str]]:
    rows = re.findall(r"^\| (`[a-z_.*`, ]+`) \|(.*)\|$", _PAGE, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def test_the_attributes_are_there() -> None:
    """Every attribute of the table is known to the filter that is said to tell it."""
    named = 0
    for names, (authz, proc) in _rows().items():
        for name in re.findall(r"`([a-z_.]+)`", names):
            assert bool(authz) <= (name in CONNECTION_RESOLVERS), name
            assert bool(proc) <= (name in RESOLVERS), name
            named += 1
    assert named >= 10


def test_the_deployed_configuration_tells_attributes() -> None:
    """What it says with each call are attributes that are known."""
    text = (_ROOT / "deploy" / "envoy" / "network_ext_proc.yaml").read_text()
    [listener] = yaml.safe_load(text)["static_resources"]["listeners"]
    config: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    told = {one["key"] for one in config["grpc_service"]["initial_metadata"]}
    assert told <= set(RESOLVERS)
