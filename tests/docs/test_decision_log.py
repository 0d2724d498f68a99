"""The page about the decision log says what the code does."""

import re
from pathlib import Path

import yaml

from mixer.config import DecisionLog, loads
from mixer.engine.cache.reads import HeaderRead
from mixer.study.service import ServiceProcess
from mixer.telemetry.decision_log import entry_of
from tests.e2e.stack import START_TIMEOUT_S, Services
from tests.e2e.test_explain import explain
from tests.telemetry.test_decision_log import asked, told

PAGE = (Path(__file__).parents[2] / "docs" / "decision-log.md").read_text()
CONFIGURATION = PAGE.partition("```yaml\n")[2].partition("```")[0]
_TIMES = re.compile(r"[0-9.]+(e\+[0-9]+)? us|at 20[0-9T:.+-]+")


def test_access_logs_tell_the_id() -> None:
    """Those of the shipped configurations, as text, with which a decision is found."""
    files = sorted((Path(__file__).parents[2] / "deploy" / "envoy").glob("*.yaml"))
    formats = [
        line
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if "inline_string:" in line and "%REQ(:METHOD)%" in line
    ]
    assert len(formats) >= 6
    assert all("id=%REQ(X-REQUEST-ID)%" in line for line in formats)


def test_the_configuration() -> None:
    """It is valid, and its sampling is the default."""
    found = loads(CONFIGURATION, base=Path("/")).mixer.telemetry.decision_log
    assert found is not None
    assert found.sampling == DecisionLog.model_fields["sampling"].default
    assert found.max_per_second == DecisionLog.model_fields["max_per_second"].default


def test_every_field_is_told() -> None:
    """The table has the fields that entries have, and no others."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    documented = set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
    code = (Path(entry_of.__code__.co_filename)).read_text()
    made = set(re.findall(r'^ {8}"([a-z_]+)":', code, re.MULTILINE)) | {
        "caller", "caller_principal", "source_address", "source_principal"
    }  # fmt: skip
    inner = {"name", "us", "callbacks", "reads", "changed_by", "beyond"}
    assert documented == made - inner | (made & {"rule"})
    (adapter,) = entry_of("x", asked(), told(HeaderRead(b"x")))["adapters"]
    for key in adapter:
        assert f"`{key}`" in PAGE


async def test_the_session(tmp_path: Path, services: Services) -> None:
    """Its output is what the command prints, but for times."""
    admin = f"unix:{services.folder}/admin.sock"
    documents = list(yaml.safe_load_all(CONFIGURATION))
    spec = documents[0]["spec"]
    spec["listeners"][0]["address"] = services.address("page")
    spec["admin"]["address"] = admin
    del spec["telemetry"]["decisionLog"]["otlp"]
    spec["telemetry"]["decisionLog"]["file"]["path"] = str(tmp_path / "decisions.jsonl")
    config = services.folder / "page.yaml"
    config.write_text(yaml.safe_dump_all(documents))
    log = services.folder / "page.log"
    address = services.address("page")
    async with ServiceProcess(config, address, log, start_timeout_s=START_TIMEOUT_S):
        _, printed, _ = await explain(services, "/orders", "-H", "x-api-key: demo-key", "-a", admin)
    shown = PAGE.partition("$ mixer explain")[2].partition("\n")[2].partition("```")[0]
    assert _plain(printed.replace("asked by: unix", "asked by: 127.0.0.1")) == _plain(shown)


def _plain(text: str) -> list[str]:
    return [_TIMES.sub("...", line) for line in text.splitlines()]
