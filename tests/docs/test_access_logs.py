"""The page about access logs says what the code does."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating

from mixer.api.otlp_logs.attributes import CONVENTIONS
from mixer.attributes import VOCABULARY
from mixer.study.client import HttpConnection, Request
from mixer.study.service import ServiceProcess
from tests.api.test_access_log import entry, message, recorded
from tests.e2e.stack import START_TIMEOUT_S, Services
from tests.e2e.test_access_logs import until
from tests.e2e.test_access_logs_of_envoy import telling
from tests.e2e.test_metrics import ask

PAGE = (Path(__file__).parents[2] / "docs" / "access-logs.md").read_text()
_OLDER = frozenset(
    {"http.method", "http.target", "http.url", "http.host", "http.scheme", "http.user_agent",
     "http.flavor", "http.status_code", "http.request_content_length",
     "http.response_content_length"}
)  # fmt: skip


def _rows(heading: str) -> Iterator[tuple[str, str]]:
    """The attributes of the table under a heading, with what is said of each."""
    _, _, rest = PAGE.partition(f"## {heading}")
    for line in rest.partition("\n## ")[0].splitlines():
        if line.startswith("| `"):
            names, told = line.strip("| ").split(" | ", 1)
            yield from ((name, told) for name in _full_names(names))


def _full_names(names: str) -> Iterator[str]:
    """``request.size``, ``.headers_bytes``: what begins with a dot has the group before it."""
    group = ""
    for name in re.findall(r"`([^`]+)`", names):
        if not name.startswith("."):
            group = name.rpartition(".")[0]
        yield name if not name.startswith(".") else f"{group}{name}"


def test_what_an_entry_tells() -> None:
    """The table has every attribute that an entry fills, and no other."""
    documented = {name for name, _ in _rows("What an entry")}
    logged = {name for name in documented if name.startswith("mixer.log.")}
    record = recorded(message(entry()))
    log = record.attributes.get("mixer.log")
    assert isinstance(log, Mapping)
    assert {name.removeprefix("mixer.log.") for name in logged} == set(log)
    told = {name for name in VOCABULARY if record.attributes.get(name) is not None}
    by_tags = {"connection.id", "xds.virtual_host_name"}
    not_in_this_one = {"mixer.caller_principal", "connection.uri_san_local_certificate",
                       "connection.dns_san_local_certificate"}  # fmt: skip
    assert documented - logged == (told - by_tags - {"mixer.log"}) | not_in_this_one


def test_what_a_record_tells() -> None:
    """The table has the names that the code looks for, and attributes that there are."""
    rows = dict(_rows("What a log record"))
    assert {name for name in rows if not name.startswith("mixer.log.")} <= VOCABULARY.keys()
    for name, keys in CONVENTIONS.items():
        assert re.findall(r"`([^`]+)`", rows[name])[: len(keys)] == list(keys)


@pytest.mark.parametrize(
    "key",
    sorted(
        {
            key
            for name, told in _rows("What a log record")
            if not name.startswith("mixer.log.")
            for key in re.findall(r"`([a-z][^`<]+\.[^`<]+)`", told)
        }
        - _OLDER
    ),
)
def test_the_names_are_opentelemetrys(key: str) -> None:
    """Each is one of OpenTelemetry's attributes, or a metric of it."""
    module = f"{key.partition('.')[0]}_attributes"
    constant = key.upper().replace(".", "_")
    found = [__import__(f"{package.__name__}.{module}", fromlist=["x"])
             for package in (stable, incubating)
             if (Path(package.__path__[0]) / f"{module}.py").is_file()]  # fmt: skip
    assert key == "http.server.request.duration" or any(hasattr(m, constant) for m in found)


def test_what_a_tag_is_for_is_said() -> None:
    """The tags of the page are of attributes, and Envoy's configuration has them."""
    tags = re.findall(r"\{tag: ([a-z._]+), value: \"(%[^\"]+%)\"\}", PAGE)
    assert len(tags) == 3
    assert {name for name, _ in tags} <= VOCABULARY.keys()


@pytest.mark.usefixtures("envoy")
async def test_the_example(services: Services) -> None:
    """With the configuration of the page, requests through the Envoy of it count as it shows."""
    (config,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (expected,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    mixer, plugin = yaml.safe_load_all(config)
    mixer["spec"]["listeners"][0]["address"] = services.address("page")
    mixer["spec"]["telemetry"]["metrics"]["address"] = "127.0.0.1:0"
    file = services.folder / "page.yaml"
    file.write_text(yaml.safe_dump_all([mixer, plugin]))
    process = ServiceProcess(file, services.address("page"), services.folder / "page.log",
                             start_timeout_s=START_TIMEOUT_S)  # fmt: skip
    async with process as service, telling("access_log.yaml", service) as envoy:
        for listener, headers in (("ingress", (("x-user", "alice"),)), ("ingress", ()),
                                  ("database", ())):  # fmt: skip
            async with HttpConnection(envoy.address(listener), 30.0) as connection:
                assert (await connection.send(Request("GET", "/", headers))).status == 200

        async def is_told() -> bool:
            shown = (await ask(service)).body.decode()
            return set(expected.splitlines()) <= set(shown.splitlines())

        await until(is_told)
