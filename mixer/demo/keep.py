"""What a user can try while the demo is kept running."""

import asyncio
import os
import shlex
from collections.abc import Sequence

from mixer.demo.configuration import ASKED, IN_PROXY
from mixer.demo.scenarios import Scenario
from mixer.demo.stack import Stack
from mixer.study.process import ProcessError

_PLACES = {ASKED: "asked", IN_PROXY: "in Envoy"}
# A token is long: one line of it is enough.
_TO_TRY = {"API key": (ASKED, IN_PROXY), "no credential": (ASKED, IN_PROXY), "JWT": (ASKED,)}

_WATCH_EVERY_S = 0.2
_LOG_LINES = 15


def invitation(stack: Stack, scenarios: Sequence[Scenario]) -> list[str]:
    """Lines with commands for an allowed key, a denied request and an allowed token.

    Args:
        stack: What is running.
        scenarios: Where the requests are taken from.
    """
    by_name = {scenario.sent: scenario for scenario in scenarios}
    lines = ["", "Everything keeps running. Try:"]
    for sent, names in _TO_TRY.items():
        scenario = by_name[sent]
        outcome = "denied" if scenario.expected.reason else "allowed"
        lines += ["", f"# {sent}"]
        lines += [
            f"{_curl(scenario, stack.envoy.address(name))}  # {_PLACES[name]}: {outcome}"
            for name in names
        ]
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


async def until_one_ends(stack: Stack) -> None:
    """Watches the service and Envoy, until this task is cancelled.

    Args:
        stack: What is running.

    Raises:
        ProcessError: One of the two has ended; the message has the end of its log.
    """
    children = (("the Mixer service", stack.service), ("Envoy", stack.envoy))
    while True:
        for name, child in children:
            if not _runs(child.pid):
                raise ProcessError(_obituary(name, child.log_text()))
        await asyncio.sleep(_WATCH_EVERY_S)


def _runs(pid: int) -> bool:
    # The event loop reaps a child that ends, so that none stays as a zombie.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _obituary(name: str, log: str) -> str:
    tail = log.strip().splitlines()[-_LOG_LINES:] or ["(it wrote nothing)"]
    lines = (f"  | {line}" for line in tail)
    return "\n".join([f"{name} ended while it was to keep running; the end of its log:", *lines])
