"""Sends each request to every listener and observes what comes of it."""

import json
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from operator import itemgetter

from mixer.demo.comparison import Observation, Row, UpstreamView
from mixer.demo.configuration import ASKED, DECISION_HEADER, DETAILS_HEADER, IN_PROXY, PLAIN
from mixer.demo.scenarios import Scenario
from mixer.study.client import HttpConnection, Response
from mixer.study.http1 import Headers

# Headers that differ from one exchange to the next by their nature, or that the demo adds.
_NOT_COMPARED = {"date", "x-envoy-upstream-service-time", DECISION_HEADER, DETAILS_HEADER}
_WARM_UP = 3


async def measure_all(
    scenarios: Sequence[Scenario],
    address: Callable[[str], str],
    repeats: int,
    progress: Callable[[str], None],
) -> list[Row]:
    """Runs every scenario against the three listeners.

    Args:
        scenarios: What to send.
        address: Tells the ``host:port`` of a listener by its name.
        repeats: How often each request is sent and timed, after a warm-up.
        progress: Told in a few words what happens next.

    Raises:
        HttpError: Envoy answered with something else than HTTP.
        OSError: Envoy is gone.
        TimeoutError: An exchange took too long.
    """
    rows = []
    for number, scenario in enumerate(scenarios, 1):
        progress(f"Request {number} of {len(scenarios)}: {scenario.sent}")
        rows.append(await measure(scenario, address, repeats))
    return rows


async def measure(scenario: Scenario, address: Callable[[str], str], repeats: int) -> Row:
    """Sends one request to the three listeners in turns; see ``measure_all``."""
    names = (PLAIN, ASKED, IN_PROXY)
    times_ms: dict[str, list[float]] = {name: [] for name in names}
    answers: dict[str, Response] = {}
    async with AsyncExitStack() as opened:
        connections = [
            (name, await opened.enter_async_context(HttpConnection(address(name))))
            for name in names
        ]
        for turn in range(_WARM_UP + repeats):
            # In turns, so that whatever slows the machine down slows every listener down.
            for name, connection in connections:
                start = time.perf_counter()
                answers[name] = await connection.send(scenario.request)
                if turn >= _WARM_UP:
                    times_ms[name].append((time.perf_counter() - start) * 1e3)
    plain, asked, in_proxy = (observe(answers[n], statistics.median(times_ms[n])) for n in names)
    return Row(scenario, plain, asked, in_proxy)


def observe(response: Response, median_ms: float) -> Observation:
    """Takes apart a response, which the upstream or a filter made.

    Args:
        response: The whole response.
        median_ms: The median time of such an exchange, in milliseconds.
    """
    details = response.header(DETAILS_HEADER) or ""
    decision = response.header(DECISION_HEADER)
    by_upstream = details == "via_upstream"
    not_compared = _NOT_COMPARED | ({"content-length"} if by_upstream else set())
    return Observation(
        status=response.status,
        headers=_by_name(response.headers, not_compared),
        body="" if by_upstream else response.body.decode(errors="replace"),
        upstream=_upstream_view(response.body) if by_upstream else None,
        details=details,
        # A service that does not answer leaves no metadata, which Envoy prints as "-".
        decision=json.loads(decision) if decision and decision != "-" else None,
        median_ms=round(median_ms, 3),
    )


def _upstream_view(body: bytes) -> UpstreamView:
    seen = json.loads(body)
    headers = _by_name(seen["headers"], {"x-request-id"})
    return UpstreamView(seen["method"], seen["path"], headers, seen["body_sha256"])


def _by_name(headers: Iterable[Sequence[str]], left_out: Collection[str]) -> Headers:
    # The order of different headers means nothing, that of repeated ones does: a stable sort.
    kept = [(name, value) for name, value in headers if name not in left_out]
    return tuple(sorted(kept, key=itemgetter(0)))
