"""What the demo tells the adapter, the service and Envoy."""

import json
from pathlib import Path
from typing import Any

import yaml

from mixer.demo.credentials import AUDIENCE, ISSUER, KEY_CONSUMER, TOKEN_CONSUMER, Credentials
from mixer.study import bootstrap as envoy

PLAIN, ASKED, IN_PROXY = "plain", "asked", "in-proxy"

DECISION_HEADER = "x-demo-decision"
DETAILS_HEADER = "x-demo-details"

# Far above what an answer takes: the demo compares decisions, also on a busy machine.
_ASK_TIMEOUT_S = 2.0


def auth_configuration(credentials: Credentials) -> dict[str, Any]:
    """The adapter's configuration, the same for both placements."""
    return {
        "realm": "demo",
        "api_keys": {
            "sources": [{"header": "x-api-key", "strip": True}, {"query": "key", "strip": True}],
            "keys": [{"sha256": credentials.api_key_sha256, "consumer": KEY_CONSUMER}],
        },
        "jwt": {
            "providers": [
                {
                    "issuer": ISSUER,
                    "audiences": [AUDIENCE],
                    "jwks": credentials.jwks,
                    "claim_headers": [
                        {"claim": "email", "header": "x-email"},
                        {"claim": "scope", "header": "x-scope"},
                    ],
                }
            ]
        },
        "rules": [
            {"paths": ["/health"], "anonymous": "allow"},
            {"paths": ["/internal/*"], "deny": True},
            {"paths": ["/accounts/*"], "consumers": [TOKEN_CONSUMER]},
        ],
    }


def service_documents(address: str, auth: dict[str, Any]) -> str:
    """The configuration file of the service, in YAML.

    Args:
        address: Where the service listens for gRPC, as ``host:port`` or ``unix:path``.
        auth: The adapter's configuration.
    """
    mixer = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "demo"},
        "spec": {"listeners": [{"name": "grpc", "address": address, "protocol": "GRPC"}]},
    }
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "auth"},
        "spec": {"url": "builtin://auth", "phase": "AUTHN", "pluginConfig": auth},
    }
    return yaml.safe_dump_all([mixer, plugin], sort_keys=False)


def envoy_bootstrap(
    upstream: str, service: str, module: Path, auth: dict[str, Any]
) -> envoy.Config:
    """One Envoy with three listeners: no filter, asks the service, runs the module itself.

    Args:
        upstream: The address of what answers allowed requests.
        service: The address of the service.
        module: The adapter's ``.wasm`` file.
        auth: The adapter's configuration.
    """
    # Response headers carry who decided: an access log would be written too late to compare.
    details = {DETAILS_HEADER: "%RESPONSE_CODE_DETAILS%"}
    decision = {DECISION_HEADER: f"%DYNAMIC_METADATA({envoy.EXT_AUTHZ_METADATA})%"}
    # Raw headers: without them Envoy joins repeated ones, and the module would see others here.
    ask = envoy.ext_authz_filter("mixer", timeout_s=_ASK_TIMEOUT_S, encode_raw_headers=True)
    run = envoy.wasm_filter("auth", module, json.dumps(auth))
    return envoy.bootstrap(
        listeners=[
            envoy.listener(PLAIN, "upstream", response_headers=details),
            envoy.listener(ASKED, "upstream", [ask], response_headers=details | decision),
            envoy.listener(IN_PROXY, "upstream", [run], response_headers=details),
        ],
        clusters=[
            envoy.cluster("upstream", upstream),
            envoy.cluster("mixer", service, http2=True),
        ],
    )
