"""What a user can try while the demo is kept running."""

import shlex
from collections.abc import Sequence

from mixer.demo.configuration import ASKED, IN_PROXY
from mixer.demo.scenarios import Scenario
from mixer.demo.stack import Stack


def invitation(stack: Stack, scenarios: Sequence[Scenario]) -> list[str]:
    """Lines with commands for the first denied and the first authenticated request.

    Args:
        stack: What is running.
        scenarios: Where the requests are taken from.
    """
    allowed = next(s for s in scenarios if s.expected.upstream_headers)
    denied = next(s for s in scenarios if s.expected.reason is not None)
    lines = ["", "Everything keeps running. Try:"]
    for scenario in (allowed, denied):
        lines += ["", f"# {scenario.expected.verdict}: {scenario.sent}"]
        lines += [_curl(scenario, stack.envoy.address(name)) for name in (ASKED, IN_PROXY)]
    return [
        *lines,
        "",
        f"Envoy's admin interface  {stack.envoy.admin_url}",
        f"Envoy's log              {stack.envoy.log}",
        f"the service's log        {stack.service.log}",
        f"its configuration        {stack.config}",
        "",
        "Ctrl-C ends it and removes all of this.",
    ]


def _curl(scenario: Scenario, address: str) -> str:
    request = scenario.request
    headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers]
    return " ".join(["curl -si", *headers, shlex.quote(f"http://{address}{request.target}")])
