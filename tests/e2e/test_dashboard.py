"""The dashboard for Grafana, over what a real Prometheus fetched of a service that runs."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from mixer.study.service import ServiceProcess
from tests.e2e.calls import channel
from tests.e2e.stack import Services, adapter
from tests.e2e.test_metrics import address_of, scrape, telemetry
from tests.support.prometheus_server import PrometheusServer, check_config
from tests.telemetry.reading import Series

pytestmark = pytest.mark.asyncio(loop_scope="module")

_DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((_DEPLOY / "grafana" / "mixer.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
VARIABLES = {
    "$job": ".*", "$instance": ".*", "$service": ".*", "$__rate_interval": "1m",
}  # fmt: skip
GIVEN = {"job", "instance"}
"""Labels that Prometheus adds."""

_NAME = re.compile(r"\b(?:mixer|istio|telemetry|billing|rpc_server)_\w+")
_BY = re.compile(r"\bby \(([^)]*)\)")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_LABEL = re.compile(r"\b(\w+)\s*(?:=~|!=|!~|=)")


def filled(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def labels_in(query: str) -> set[str]:
    """Every label that a query names."""
    grouped = {one.strip() for text in _BY.findall(query) for one in text.split(",")}
    matched = {one for text in _MATCHERS.findall(query) for one in _LABEL.findall(text)}
    return (grouped | matched) - GIVEN


def configuration(folder: Path, address: str) -> Path:
    """The configuration that is deployed, with this service for its target."""
    config = yaml.safe_load((_DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"]["scrape_interval"] = "200ms"
    config["global"]["scrape_timeout"] = "200ms"
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [address]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


async def report(service: ServiceProcess) -> None:
    """Tell of two requests and of a connection."""
    told: list[dict[str, int]] = [
        {"response.code": 200}, {"response.code": 500}, {"request.total_size": 1},
    ]  # fmt: skip
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for one in told:
        attributes = records.add().attributes
        for name, number in one.items():
            attributes.add(key=name).value.int_value = number
    async with channel(service.address) as opened:
        answer = await LogsServiceStub(opened).Export(message)
    assert not answer.partial_success.rejected_log_records


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services) -> AsyncIterator[ServiceProcess]:
    """With all metrics there are: those of the adapter are there from its start."""
    counting = adapter("telemetry", "builtin://telemetry", {"otlp": {"cluster": "collector"}})
    billing = adapter("billing", "builtin://billing", {"subject": "source.address"})
    clusters = [{"name": "collector", "endpoints": ["127.0.0.1:9"]}]
    async with services.service(
        "dashboard",
        [counting, billing],
        clusters=clusters,
        telemetry=telemetry(),
        ledger={"sqlite": {"path": "./dashboard.db"}},
    ) as running:
        await report(running)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraped(service: ServiceProcess) -> Series:
    return await scrape(service)


async def test_the_configuration_is_sound() -> None:
    """Prometheus' own tool takes what is deployed."""
    check_config(_DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize("query", QUERIES)
async def test_what_a_query_names_is_there(query: str, scraped: Series) -> None:
    """Every metric and every label of the dashboard is in a real scrape."""
    names = set(_NAME.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", query)))
    assert names
    for name in names:
        assert name in {known for known, _ in scraped}, name
    known = {label for name, labels in scraped if name in names for label, _ in labels}
    assert labels_in(query) <= known


@pytest.fixture
def prometheus(service: ServiceProcess, tmp_path: Path) -> Any:
    with PrometheusServer(configuration(tmp_path, address_of(service))) as running:
        running.until('count_over_time(up{job="mixer"}[1m])', 3)
        yield running


async def test_every_query_has_an_answer(prometheus: PrometheusServer) -> None:
    """Prometheus runs each query over what it fetched, and none is empty."""
    assert len(QUERIES) > 25
    empty = [query for query in QUERIES if not prometheus.query(filled(query))]
    assert empty == []


async def test_the_variables_are_those_of_the_queries() -> None:
    """Each variable that a query has is one of the dashboard's."""
    used = {name for query in QUERIES for name in re.findall(r"\$(?!__)(\w+)", query)}
    assert used <= {one["name"] for one in DASHBOARD["templating"]["list"]}
