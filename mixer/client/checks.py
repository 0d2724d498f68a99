"""Checks without input and output: what to answer, and what to ask the server."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

from mixer.client.calls import Calls, Params
from mixer.client.check_cache import CheckCache
from mixer.client.effects import Effect, Exchange, Reply, Start
from mixer.client.metrics import ClientMetrics
from mixer.client.quota_cache import QuotaCache
from mixer.client.quota_round import QuotaRound, quota_status
from mixer.client.references import Attributes
from mixer.client.results import (
    INTERNAL,
    OK,
    CheckResult,
    Quota,
    QuotaResult,
    precondition_result,
)
from mixer.client.retry import Backoff, Failure
from mixer.client.settings import ClientSettings, NetworkFailPolicy
from mixer.client.words import KnownWords
from mixer.wire import mixer_v1_pb2 as pb

Quotas = Mapping[str, Quota]


class Checks:
    """Answers checks from what is kept, and else says what to ask the server.

    Not safe for threads: of its exchanges one at a time runs, to its next effect.

    Args:
        settings: Of the client.
        metrics: Where it counts.
        clock: Nanoseconds, monotonic.
        backoff: When to try again.

    Attributes:
        words: How many words the server knows.
        answers: Those that are kept.
        pools: Of quota.
    """

    def __init__(
        self,
        settings: ClientSettings,
        metrics: ClientMetrics,
        clock: Callable[[], int] = time.monotonic_ns,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings
        self._fail_open = settings.network_fail_policy is NetworkFailPolicy.FAIL_OPEN
        self._metrics = metrics
        self._clock = clock
        self.words = KnownWords()
        self._calls = Calls(self.words, metrics, clock, backoff or Backoff(settings.retry))
        self.answers = CheckCache(settings.check_cache, clock)
        self.pools = QuotaCache(settings.quota_cache, clock)

    def kept(self, attributes: Attributes) -> CheckResult | None:
        """The answer to a check, if it is kept; counts the check."""
        self._metrics.checks += 1
        result = self.answers.find(attributes)
        if result is None:
            self._metrics.check_cache_misses += 1
        else:
            self._metrics.check_cache_hits += 1
        return result

    def ask(self, attributes: Attributes, asked: Quotas, timeout: float) -> Exchange:
        """Answer a check whose answer is not kept.

        Args:
            attributes: Of the request.
            asked: What it wants of quotas.
            timeout: Seconds for all of it.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, or a text is not Unicode.
        """
        attributes = _as_now(attributes)
        quotas = self._round(attributes, asked, from_pools=False)
        self._metrics.quota_cache_misses += bool(asked)
        return (yield from self._answered(attributes, quotas, None, timeout))

    def ask_quotas(
        self, kept: CheckResult, attributes: Attributes, asked: Quotas, timeout: float
    ) -> Exchange:
        """Answer a check whose answer is kept, and that wants quota.

        Args:
            kept: That answer; it allows the request.
            attributes: Of the request.
            asked: What it wants of quotas.
            timeout: Seconds for all of it.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, or a text is not Unicode.
        """
        attributes = _as_now(attributes)
        quotas = self._round(attributes, asked, from_pools=True)
        if refused := quotas.refused():
            self._metrics.quota_cache_hits += 1
            return _with_quotas(kept, refused)
        if quotas.waits:
            self._metrics.quota_cache_misses += 1
            return (yield from self._answered(attributes, quotas, kept, timeout))
        self._metrics.quota_cache_hits += 1
        params = quotas.begin(self._clock())
        results = quotas.pooled()
        quotas.spend()
        if params:
            yield Start(self._prefetch(attributes, quotas, params))
        return _with_quotas(kept, results)

    def measure(self) -> None:
        """Bring those metrics up to date that are of now."""
        self._metrics.check_cache_entries = len(self.answers.answers)
        self._metrics.check_cache_bytes = self.answers.answers.size
        self._metrics.check_cache_evictions = self.answers.answers.evictions
        self._metrics.quota_cache_entries = len(self.pools.pools)

    def _round(self, attributes: Attributes, asked: Quotas, from_pools: bool) -> QuotaRound:
        self._metrics.quota_checks += bool(asked)
        return QuotaRound(self.pools, attributes, asked, from_pools, self._clock())

    def _prefetch(self, attributes: Attributes, quotas: QuotaRound, params: Params) -> Exchange:
        self._metrics.quota_prefetches += 1
        timeout = self._settings.timeout
        reply = yield from self._asked(attributes, quotas, params, timeout, retries=0)
        return CheckResult(reply.code, reply.message) if isinstance(reply, Failure) else reply

    def _answered(
        self, attributes: Attributes, quotas: QuotaRound, kept: CheckResult | None, timeout: float
    ) -> Exchange:
        params = quotas.begin(self._clock())
        retries = self._settings.retry.retries
        reply = yield from self._asked(attributes, quotas, params, timeout, retries)
        if not isinstance(reply, Failure):
            return reply
        failure = f"gRPC code {reply.code}: {reply.message}"
        if not self._fail_open:
            self._metrics.fail_close += 1
            return CheckResult(reply.code, reply.message, failure=failure)
        self._metrics.fail_open += 1
        allowed = replace(kept or CheckResult(OK), from_cache=False, failure=failure)
        return replace(allowed, quotas=quotas.granted())

    def _asked(
        self,
        attributes: Attributes,
        quotas: QuotaRound,
        params: Params,
        timeout: float,
        retries: int,
    ) -> Generator[Effect, Reply, CheckResult | Failure]:
        """Ask the server, and take over what it says."""
        settled = False
        try:
            reply, sent = yield from self._calls.call(attributes, params, timeout, retries)
            if isinstance(reply, Failure):
                return reply
            result = _precondition(reply)
            if isinstance(result, Failure):
                return result
            self.answers.keep(attributes, reply, result, sent.last)
            if result.code != OK:
                return result
            settled = True
            now = self._clock()
            return _with_quotas(result, quotas.settle(reply, sent.first, now, self._fail_open))
        finally:
            if not settled:
                quotas.fail()


def wanted(quotas: Mapping[str, int | Quota]) -> Quotas:
    """Quotas by name, those that are only told as an amount as well.

    Raises:
        TypeError: An amount is no whole number, or a name no text.
        ValueError: An amount is out of its bounds, or a name not Unicode.
    """
    return {_named(name): _quota(name, quota) for name, quota in quotas.items()}


def _named(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a quota must be text, not {type(name).__name__}")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"quota {name!a}: its name is not Unicode text") from None
    return name


def _quota(name: str, quota: int | Quota) -> Quota:
    if isinstance(quota, Quota):
        return quota
    try:
        return Quota(quota)
    except (TypeError, ValueError) as error:
        raise type(error)(f"quota {name}: {error}") from None


def _as_now(attributes: Attributes) -> Attributes:
    """A copy, since the caller may go on to change them while the server is asked."""
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in attributes.items()
    }


def _precondition(response: pb.CheckResponse) -> CheckResult | Failure:
    try:
        return precondition_result(response)
    except ValueError as error:
        return Failure(INTERNAL, f"the server's answer makes no sense: {error}")


def _with_quotas(result: CheckResult, quotas: Mapping[str, QuotaResult]) -> CheckResult:
    code, message = quota_status(quotas)
    if code == OK:
        return replace(result, quotas=quotas) if quotas else result
    return CheckResult(code, message, from_cache=result.from_cache, quotas=quotas)
