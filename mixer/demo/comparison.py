"""What came of each request, and whether that is the same in both placements."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mixer.demo.configuration import ASKED, IN_PROXY, PLAIN
from mixer.demo.scenarios import Expectation, Scenario
from mixer.study.http1 import Headers


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """What the upstream saw of a request."""

    method: str
    path: str
    headers: Headers
    body_sha256: str

    def values(self, name: str) -> list[str]:
        """Every value of a header, by its name in lower case."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one listener did with a request.

    Attributes:
        status: The status of the response.
        headers: The response's headers without those that change with every response, sorted by
            name; repeated ones stay in their order.
        body: The body that the listener made; empty if the upstream made it.
        upstream: What the upstream saw; None if the request did not get there.
        details: Envoy's own words for how the response came about.
        decision: What the service said of its decision; None where no service was asked.
        median_ms: The median time of an exchange, in milliseconds.
    """

    status: int
    headers: Headers
    body: str
    upstream: UpstreamView | None
    details: str
    decision: Mapping[str, Any] | None
    median_ms: float

    @property
    def verdict(self) -> str:
        """``allow``, ``deny`` or ``error``: the service's word, or what the response shows."""
        if self.decision is not None:
            return str(self.decision.get("verdict"))
        if self.upstream is not None:
            return "allow"
        return "deny" if 400 <= self.status < 500 else "error"

    @property
    def reason(self) -> str | None:
        """The adapter's word for a refusal; None for an allowed request.

        The service puts it into its decision; in the proxy Envoy has it as the details.
        """
        if self.verdict == "allow":
            return None
        return self.details if self.decision is None else self.decision.get("reason")


@dataclass(frozen=True, slots=True)
class Row:
    """One request with everything that came of it."""

    scenario: Scenario
    plain: Observation
    asked: Observation
    in_proxy: Observation

    @property
    def differences(self) -> list[str]:
        """In what the two placements differ, in words; empty if in nothing."""
        return differences(self.asked, self.in_proxy)

    @property
    def surprises(self) -> list[str]:
        """What is not as the scenario expects, in words; empty if all is."""
        expected = self.scenario.expected
        return [
            f"{name}: {text}"
            for name, seen in ((ASKED, self.asked), (IN_PROXY, self.in_proxy))
            for text in surprises(expected, seen)
        ]

    @property
    def ok(self) -> bool:
        """Whether the placements agree and do what is expected."""
        return not self.differences and not self.surprises

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {
            "sent": self.scenario.sent,
            "expected": asdict(self.scenario.expected),
            PLAIN: {"median_ms": self.plain.median_ms},
            ASKED: asdict(self.asked) | {"verdict": self.asked.verdict},
            IN_PROXY: asdict(self.in_proxy) | {"verdict": self.in_proxy.verdict},
            "differences": self.differences,
            "surprises": self.surprises,
            "ok": self.ok,
        }


def differences(asked: Observation, in_proxy: Observation) -> list[str]:
    """In what two observations of the same request differ; times and Envoy's wordings aside."""
    found = [
        f"{what}: {one!r} asked, {other!r} in the proxy"
        for what, one, other in (
            ("status", asked.status, in_proxy.status),
            ("response body", asked.body, in_proxy.body),
            ("verdict", asked.verdict, in_proxy.verdict),
            ("reason", asked.reason, in_proxy.reason),
        )
        if one != other
    ]
    found += _header_differences("response", asked.headers, in_proxy.headers)
    if asked.upstream is not None and in_proxy.upstream is not None:
        return found + _upstream_differences(asked.upstream, in_proxy.upstream)
    if asked.upstream != in_proxy.upstream:
        found.append("only one of the two let it through")
    return found


def _upstream_differences(asked: UpstreamView, in_proxy: UpstreamView) -> list[str]:
    found = [
        f"upstream {what}: {one} asked, {other} in the proxy"
        for what, one, other in (
            ("method", asked.method, in_proxy.method),
            ("path", asked.path, in_proxy.path),
            ("body", asked.body_sha256, in_proxy.body_sha256),
        )
        if one != other
    ]
    return found + _header_differences("upstream", asked.headers, in_proxy.headers)


def _header_differences(where: str, asked: Headers, in_proxy: Headers) -> list[str]:
    if asked == in_proxy:
        return []
    only_asked = [f"{name}: {value}" for name, value in asked if (name, value) not in in_proxy]
    only_in_proxy = [f"{name}: {value}" for name, value in in_proxy if (name, value) not in asked]
    # With both lists empty, the same values are repeated or ordered in another way.
    return [f"{where} headers: {only_asked} only asked, {only_in_proxy} only in the proxy"]


def surprises(expected: Expectation, seen: Observation) -> list[str]:
    """What an observation has that was not expected, in words."""
    found = []
    if seen.status != expected.status:
        found.append(f"status {seen.status}, not {expected.status}")
    if seen.verdict != expected.verdict:
        found.append(f"verdict {seen.verdict}, not {expected.verdict}")
    if seen.reason != expected.reason:
        found.append(f"reason {seen.reason}, not {expected.reason}")
    if (seen.upstream is not None) != (expected.verdict == "allow"):
        found.append("the upstream saw it" if seen.upstream else "the upstream did not see it")
    if seen.upstream is not None:
        found += _upstream_surprises(expected, seen.upstream)
    return found


def _upstream_surprises(expected: Expectation, seen: UpstreamView) -> list[str]:
    found = []
    if expected.upstream_path not in {None, seen.path}:
        found.append(f"the upstream saw the path {seen.path}")
    for name, value in expected.upstream_headers.items():
        values = seen.values(name)
        if values != ([] if value is None else [value]):
            found.append(f"the upstream saw {name}: {values}")
    return found


def header_changes(plain: UpstreamView, seen: UpstreamView) -> tuple[list[str], list[str]]:
    """What a filter added to (or set in) a request and what it removed from it.

    Returns:
        ``name: value`` of each header that is new or changed, and the names of those gone; the
        path counts as the header ``:path``.
    """
    before = {*plain.headers, (":path", plain.path)}
    after = {*seen.headers, (":path", seen.path)}
    added = sorted(after - before)
    gone = sorted({name for name, _ in before - after} - {name for name, _ in after})
    return [f"{name}: {value}" for name, value in added], gone
