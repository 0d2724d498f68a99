"""The proxy configurations in ``deploy/envoy``, with addresses of a test."""

from pathlib import Path
from typing import Any

import yaml

from mixer.study import bootstrap as build

_DEPLOY = Path(__file__).parents[2] / "deploy"


def envoy_configuration(name: str, *, mixer: str, upstream: str) -> dict[str, Any]:
    """A file of ``deploy/envoy`` as values, listening on free ports.

    Args:
        name: Of the file, without its ending.
        mixer: The address of the service.
        upstream: That of the upstream.
    """
    config: dict[str, Any] = yaml.safe_load((_DEPLOY / "envoy" / f"{name}.yaml").read_text())
    resources = config["static_resources"]
    for listener in resources["listeners"]:
        listener["address"]["socket_address"]["port_value"] = 0
    addresses = {"mixer": mixer, "mixer_logs": mixer, "upstream": upstream}
    for cluster in resources["clusters"]:
        [endpoint] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        endpoint["endpoint"]["address"] = build.socket_address(addresses[cluster["name"]])
    return config


def adapters(name: str) -> list[dict[str, Any]]:
    """The adapters of a file of ``deploy/mixer``."""
    documents = yaml.safe_load_all((_DEPLOY / "mixer" / f"{name}.yaml").read_text())
    return [one for one in documents if one["kind"] == "WasmPlugin"]
