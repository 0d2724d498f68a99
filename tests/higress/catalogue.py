"""Every plugin that one request at a time shows, with its cases."""

from tests.higress import balancing, gateway, models, rewriting, transforming

CASES = {
    **transforming.CASES,
    **rewriting.CASES,
    **gateway.CASES,
    **models.CASES,
    **balancing.CASES,
}

CALLOUTS = {
    "gpustack-ext-auth": "it claims routes by the property route_name, which a stock Envoy lacks",
    "gpustack-lb-decision-service": balancing.AFTER_IT,
}
"""Plugins that only `test_callouts` has, and why they are not compared with a stock Envoy."""


def compared(plugin: str) -> str:
    """How the plugin compares with a stock Envoy, in the words of the documentation."""
    cases = [case for case in CASES.values() if case.plugin == plugin]
    reasons = {case.differs for case in cases if case.differs} or {CALLOUTS.get(plugin, "")}
    same = ["the same"] if any(not case.differs for case in cases) else []
    return "; ".join([*same, *sorted(reasons - {""})])
