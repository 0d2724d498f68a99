"""Which version of the ABI has which host calls; those that are not here are in every one.

A module that imports a call of another version does not load: neither does it in Envoy.
"""

from mixer.proxywasm.abi import AbiVersion

_OLDEST = frozenset({AbiVersion.V0_1_0})
_HIGRESS = frozenset({AbiVersion.V0_2_100})
_SINCE_0_2_0 = frozenset(AbiVersion) - _OLDEST
_SINCE_0_2_1 = _SINCE_0_2_0 - {AbiVersion.V0_2_0}

_ONLY_IN = {
    "proxy_get_configuration": _OLDEST,
    "proxy_continue_request": _OLDEST,
    "proxy_continue_response": _OLDEST,
    "proxy_clear_route_cache": _OLDEST,
    "proxy_continue_stream": _SINCE_0_2_0,
    "proxy_close_stream": _SINCE_0_2_0,
    "proxy_get_log_level": _SINCE_0_2_1,
    "proxy_redis_init": _HIGRESS,
    "proxy_redis_call": _HIGRESS,
    "proxy_inject_encoded_data_to_filter_chain": _HIGRESS,
    "proxy_get_upstream_hosts": _HIGRESS,
    "proxy_set_upstream_override_host": _HIGRESS,
}
_EVERY = frozenset(AbiVersion)


def versions_with(name: str) -> frozenset[AbiVersion]:
    """The versions of the ABI that have a host call."""
    return _ONLY_IN.get(name, _EVERY)
