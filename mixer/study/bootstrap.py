"""Builds Envoy configurations as plain values: each function makes one piece.

Addresses are ``host:port`` or ``unix:path``; port 0 of a listener is a free one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Config: TypeAlias = dict[str, Any]

EXT_AUTHZ_METADATA = "envoy.filters.http.ext_authz"
EXT_PROC_METADATA = "envoy.filters.http.ext_proc"

FULL_DUPLEX = "FULL_DUPLEX_STREAMED"
"""The mode of a body in which an external processor can do whatever a filter inside can."""

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_CONNECT_TIMEOUT_S = 1.0


def bootstrap(listeners: Sequence[Config], clusters: Sequence[Config]) -> Config:
    """A whole static configuration."""
    return {"static_resources": {"listeners": list(listeners), "clusters": list(clusters)}}


def socket_address(address: str) -> Config:
    """Envoy's form of ``host:port`` or ``unix:path``.

    Raises:
        ValueError: It is neither.
    """
    if address.startswith("unix:"):
        return {"pipe": {"path": address.removeprefix("unix:")}}
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def cluster(
    name: str, address: str, *, http2: bool = False, max_requests: int | None = None
) -> Config:
    """One upstream endpoint.

    Args:
        name: The cluster's name.
        address: Where it listens.
        http2: Whether to speak HTTP/2 with prior knowledge, as gRPC needs.
        max_requests: The circuit breakers' limit for connections, requests under way and
            requests waiting; None leaves Envoy's 1024.
    """
    endpoint = {"endpoint": {"address": socket_address(address)}}
    config: Config = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": _duration(_CONNECT_TIMEOUT_S),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        config["typed_extension_protocol_options"] = {"envoy." + _HTTP_OPTIONS: _http2_options()}
    if max_requests is not None:
        kinds = ("max_connections", "max_pending_requests", "max_requests")
        limits = dict.fromkeys(kinds, max_requests)
        config["circuit_breakers"] = {"thresholds": [{"priority": "DEFAULT", **limits}]}
    return config


_HTTP_OPTIONS = "extensions.upstreams.http.v3.HttpProtocolOptions"


def _http2_options() -> Config:
    return {
        "@type": f"type.googleapis.com/envoy.{_HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }


def ext_authz_filter(
    cluster: str,
    *,
    timeout_s: float = 0.2,
    with_request_body: int | None = None,
    allow_partial_message: bool = False,
    encode_raw_headers: bool = False,
    allowed_headers: Sequence[str] = (),
    stat_prefix: str | None = None,
) -> Config:
    """The filter that asks the service about each request; it fails closed, with 503.

    Args:
        cluster: The service; it must speak HTTP/2.
        timeout_s: The longest wait for an answer, in seconds.
        with_request_body: The most bytes of the body to send along; None sends none.
        allow_partial_message: Whether a longer body is cut; otherwise the request gets 413.
        encode_raw_headers: Send headers as bytes in a list, so that repeated and non-UTF-8 ones
            arrive as they are.
        allowed_headers: The only headers that are sent along, if there are any here.
        stat_prefix: Tells this filter's statistics from those of others.
    """
    config: Config = {
        "@type": f"{_EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": cluster},
            "timeout": _duration(timeout_s),
        },
        # Without it a service that is down looks like a refusal: 403.
        "status_on_error": {"code": 503},
        "encode_raw_headers": encode_raw_headers,
    }
    if allowed_headers:
        patterns = [{"exact": name} for name in allowed_headers]
        config["allowed_headers"] = {"patterns": patterns}
    if stat_prefix is not None:
        config["stat_prefix"] = stat_prefix
    if with_request_body is not None:
        config["with_request_body"] = {
            "max_request_bytes": with_request_body,
            "allow_partial_message": allow_partial_message,
            "pack_as_bytes": True,
        }
    return {"name": EXT_AUTHZ_METADATA, "typed_config": config}


def ext_proc_filter(
    cluster: str,
    *,
    timeout_s: float = 0.2,
    request_body: str = FULL_DUPLEX,
    response_body: str = FULL_DUPLEX,
    trailers: bool = True,
    attributes: Sequence[str] = (),
    response_attributes: Sequence[str] = (),
    initial_metadata: Mapping[str, str] | None = None,
    options: Config | None = None,
) -> Config:
    """The filter that shows the service requests and responses; it fails closed, with 503.

    Args:
        cluster: The service; it must speak HTTP/2.
        timeout_s: The longest wait for the answer to a message, in seconds; it does not count for
            a body in full duplex.
        request_body: How the request's body is sent, as in ``ProcessingMode.BodySendMode``.
        response_body: How the response's is.
        trailers: Whether trailers are sent, which full duplex needs.
        attributes: What to tell of the request, by Envoy's names.
        response_attributes: What to tell of the response.
        initial_metadata: Of the call.
        options: Other fields of the filter.
    """
    service: Config = {"envoy_grpc": {"cluster_name": cluster}}
    if initial_metadata:
        service["initial_metadata"] = [{"key": k, "value": v} for k, v in initial_metadata.items()]
    config: Config = {
        "@type": f"{_EXTENSIONS}.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": service,
        "message_timeout": _duration(timeout_s),
        "status_on_error": {"code": 503},
        "processing_mode": _processing_mode(request_body, response_body, trailers=trailers),
        # A module inside Envoy may change all headers.
        "mutation_rules": {"allow_all_routing": True, "allow_envoy": True},
        "metadata_options": {"receiving_namespaces": {"untyped": [EXT_PROC_METADATA]}},
        "request_attributes": list(attributes),
        "response_attributes": list(response_attributes),
        **(options or {}),
    }
    return {"name": EXT_PROC_METADATA, "typed_config": config}


def _processing_mode(request_body: str, response_body: str, *, trailers: bool) -> Config:
    trailer_mode = "SEND" if trailers else "SKIP"
    return {
        "request_header_mode": "SEND",
        "response_header_mode": "SEND",
        "request_body_mode": request_body,
        "response_body_mode": response_body,
        "request_trailer_mode": trailer_mode,
        "response_trailer_mode": trailer_mode,
    }


def wasm_filter(
    name: str,
    module: Path,
    configuration: str,
    *,
    root_id: str = "",
    vm_id: str = "",
    fail_open: bool = False,
    allow_on_headers_stop_iteration: bool | None = None,
) -> Config:
    """Envoy's own Wasm filter with a module from a file.

    Args:
        name: The plugin's name.
        module: The ``.wasm`` file.
        configuration: What the plugin gets as its configuration.
        root_id: Picks one of the module's root contexts.
        vm_id: Filters with the same id, module and VM configuration share a VM.
        fail_open: Whether requests pass when the VM has failed.
        allow_on_headers_stop_iteration: Whether StopIteration of a headers callback stops
            headers only, as the specification says, and not the body; None is Envoy's default.
    """
    plugin: Config = {
        "name": name,
        "root_id": root_id,
        "failure_policy": "FAIL_OPEN" if fail_open else "FAIL_CLOSED",
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration,
        },
    }
    if allow_on_headers_stop_iteration is not None:
        plugin["allow_on_headers_stop_iteration"] = allow_on_headers_stop_iteration
    config = {"@type": f"{_EXTENSIONS}.filters.http.wasm.v3.Wasm", "config": plugin}
    return {"name": f"envoy.filters.http.wasm.{name}", "typed_config": config}


def listener(
    name: str,
    cluster: str | None,
    filters: Sequence[Config] = (),
    *,
    address: str = "127.0.0.1:0",
    response_headers: Mapping[str, str] | None = None,
    context_extensions: Mapping[str, str] | None = None,
) -> Config:
    """A listener that sends every request through the filters to a cluster.

    Args:
        name: The listener's name, also the prefix of its statistics.
        cluster: Where requests go; None answers each with an empty 200 inside Envoy.
        filters: HTTP filters in the order of the request; the router is added.
        address: Where it listens.
        response_headers: Headers that every response gets, local replies too; the values are
            format strings such as ``%RESPONSE_CODE_DETAILS%``.
        context_extensions: What the route tells the service that ``ext_authz_filter`` asks.
    """
    router = {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"}
    manager: Config = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": _route_config(name, cluster, context_extensions),
        "http_filters": [*filters, {"name": "envoy.filters.http.router", "typed_config": router}],
    }
    if response_headers:
        _add_response_headers(manager, response_headers)
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": name,
        "address": socket_address(address),
        "filter_chains": [{"filters": [network]}],
    }


def _route_config(
    name: str, cluster: str | None, context_extensions: Mapping[str, str] | None
) -> Config:
    route: Config = {"match": {"prefix": "/"}}
    if context_extensions:
        settings = {
            "@type": f"{_EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {"context_extensions": dict(context_extensions)},
        }
        route["typed_per_filter_config"] = {EXT_AUTHZ_METADATA: settings}
    if cluster is None:
        route["direct_response"] = {"status": 200}
    else:
        route["route"] = {"cluster": cluster}
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}


def _add_response_headers(manager: Config, headers: Mapping[str, str]) -> None:
    options = [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in headers.items()
    ]
    manager["route_config"]["response_headers_to_add"] = options


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
