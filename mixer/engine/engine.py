"""The engine: a configuration, loaded, and the decisions made with it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from mixer.attributes import AttributeBag, Manifest
from mixer.callouts.ports import Callouts, NoCallouts
from mixer.config import Configuration, Problem
from mixer.engine.adapter import Adapter
from mixer.engine.adapter_loader import AdapterLoader
from mixer.engine.adapter_state import AdapterState
from mixer.engine.admission import Admission
from mixer.engine.cache import DecisionCache, Trace
from mixer.engine.chain import Chain
from mixer.engine.decision import Decision
from mixer.engine.durable import Recorded
from mixer.engine.exchange import HttpExchange
from mixer.engine.expressions import compile_expressions
from mixer.engine.notices import notices
from mixer.engine.opened_state import open_state
from mixer.engine.pending import Deciding, PendingDecision, decide
from mixer.engine.quotas import UNKNOWN_QUOTA, QuotaAdapters
from mixer.engine.record import Record
from mixer.engine.reporting import loggers, report
from mixer.engine.request import Request
from mixer.engine.roles import roles
from mixer.engine.scheduling import scheduler_of_this_thread
from mixer.engine.selection import Selector
from mixer.engine.story import DecisionLog, Sampler, Story, Wanted, Witness
from mixer.engine.tcp import ConnectionCheck, NetworkAdapters, TcpExchange
from mixer.engine.verdict_counts import VerdictCounts
from mixer.engine.vm_owners import VmOwners
from mixer.engine.wasm_engines import WasmEngines
from mixer.proxywasm import Scheduler

_log = logging.getLogger(__name__)

Progress = Callable[[str], None]


class Engine:
    """Every adapter of one configuration, in one thread.

    Loading never raises for an adapter: one that does not load is kept with its error, answers by
    its failStrategy, and is told by `broken`.

    Args:
        configuration: What to load.
        progress: Told in a few words what is going on while it loads.
        on_change: Told when the state of an adapter changes.
        scheduler: Has ticks and the messages of queues delivered. Unless it is given, the running
            event loop; without one of either nothing of that happens.
        callouts: Opens callouts in the same thread; unless it is given, there are no clusters.

    Attributes:
        admission: Which attributes callers of Mixer may send.
        adapters: In the order in which they run; those through which no request goes, too:
            services, and access loggers.
        decisions: How many were made or begun.
        connections: How many TCP connections were carried or begun.
        limits: Of the service; front ends hold to them.
        decision_timeout: Seconds that a front end waits for a pending decision at the most.
        verdicts: How many of them came to which verdict.
        allocations: How many quotas were asked for.
        allocation_verdicts: How many of them came to which verdict.
        reports: How many records the adapters were told of.
        cache: The decisions that adapters allow to be kept.
        commits: Stores what adapters record in the ledger; None where there is none.
        rate_limit: Settings of the front ends for rate limits.
        services: What the adapters share: data, queues, metrics. It outlives their VMs.
        rules: Applied to what the adapters allowed; None where there are none.
        selector: Which adapters run for a request.
        slots: Of all adapters, with what rules make of each.
        sampler: Says whose story is kept; None keeps none.
        on_story: Told of each story as it begins; None where nobody wants to know.
        decision_log: Front ends tell it what they answered; None where nobody wants to know.

    Raises:
        ConfigError: An expression of an adapter or a rule is wrong.
        StoreError: The configured store of shared state, or the ledger, cannot be opened.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        progress: Progress = _log.info,
        on_change: Callable[[Adapter], None] = lambda _adapter: None,
        scheduler: Scheduler | None = None,
        callouts: Callouts | None = None,
    ) -> None:
        spec, expressions = configuration.mixer, compile_expressions(configuration)
        scheduler = scheduler or scheduler_of_this_thread()
        self._state = open_state(spec, scheduler)
        self._wasm = WasmEngines(configuration)
        self.services = self._state.services(scheduler, callouts or NoCallouts())
        self._owners = VmOwners(self.services, spec.limits.max_isolated_streams)
        loader = AdapterLoader(self._wasm, self._owners, expressions, progress, on_change)
        self.slots = tuple(loader.load(plugin) for plugin in configuration.plugins)
        self.adapters = tuple(slot.adapter for slot in self.slots)
        self._all = tuple(adapter for slot in self.slots for adapter in slot.adapters)
        filters, network, told = roles(self.slots)
        self.selector = Selector(filters)
        self._network = NetworkAdapters(network, spec.limits.max_held_bytes)
        self._loggers = loggers(told)
        self._quotas = QuotaAdapters(filters)
        self.rules = expressions.rules
        self.commits = self._state.commits
        adapters = {slot.adapter.name: slot.adapter for slot in filters}
        self.cache = DecisionCache(spec.decision_cache, adapters)
        self.admission = Admission(Manifest(spec.attribute_manifest))
        self.limits = spec.limits
        self.decision_timeout = spec.limits.decision_timeout
        self.rate_limit = spec.rate_limit
        self.sampler: Sampler | None = None
        self.on_story: Callable[[Story], None] | None = None
        self.decision_log: DecisionLog | None = None
        self.decisions = self.connections = self.allocations = self.reports = 0
        self.verdicts = VerdictCounts()
        self.allocation_verdicts = VerdictCounts()
        for adapter in self._all:
            adapter.start()

    @property
    def broken(self) -> tuple[Adapter, ...]:
        """The adapters that did not load or start, and those that rules configure."""
        return tuple(a for a in self._all if a.state is AdapterState.BROKEN)

    @property
    def notices(self) -> tuple[Problem, ...]:
        """What is accepted, and may not do what was meant."""
        return tuple(n for a in self.adapters if a.module for n in notices(a.plugin, a.module))

    def decide(self, request: Request) -> Decision | PendingDecision:
        """Run a request through the adapters; never raises for what an adapter does.

        Returns:
            The decision; a pending one only where an adapter waits for a callout, or the ledger
            does not have yet what one recorded.
        """
        self.decisions += 1
        witness = self._witness_of(request)
        if witness is not None:
            return self._decide_before(witness, request)
        if self.cache.in_use:
            return self._decide_with_cache(request)
        chain = Chain(self.selector, request, rules=self.rules)
        decision = self._run(chain, self.verdicts)
        if isinstance(decision, Decision):
            self.cache.note(decision)
        return decision

    def _decide_with_cache(self, request: Request) -> Decision | PendingDecision:
        known = self.cache.find(request)
        if known is not None:
            self.verdicts.add(known)
            return known
        trace = Trace()
        chain = Chain(self.selector, request, trace, self.rules)
        decision = self._run(chain, self.verdicts)
        if isinstance(decision, Decision):
            self.cache.keep(request, trace, decision)
        return decision

    def _witness_of(self, request: Request) -> Witness | None:
        """Who keeps how a request is decided, if anybody wants to know."""
        wanted = Wanted.NOTHING if self.sampler is None else self.sampler(request)
        if wanted is Wanted.NOTHING:
            return None
        story = Story(wanted)
        if self.on_story is not None:
            self.on_story(story)
        return Witness(story, request)

    def _run(self, deciding: Deciding, verdicts: VerdictCounts) -> Decision | PendingDecision:
        return decide(deciding, verdicts, self.commits)

    def _decide_before(self, witness: Witness, request: Request) -> Decision | PendingDecision:
        story = witness.story
        known = self.cache.find(request) if self.cache.in_use else None
        if known is not None:
            self.verdicts.add(known)
            story.from_cache = True
            story.end(known)
            return replace(known, story=story)
        decision = self._run(Chain(self.selector, request, witness, self.rules), self.verdicts)
        if isinstance(decision, Decision):
            self.cache.note(decision)
            self.cache.keep(request, witness, replace(decision, story=None))
        return decision

    def explain(self, request: Request) -> Decision | PendingDecision:
        """Decide anew, and keep how; the decision is neither kept for others nor counted.

        What adapters do is done all the same: one that charges or records has to heed the
        attribute ``mixer.operation``, which is ``explain``.
        """
        witness = Witness(Story(Wanted.LOG), request)
        return self._run(Chain(self.selector, request, witness, self.rules), VerdictCounts())

    def open(self, request: Request) -> HttpExchange:
        """Begin a stream that passes the adapters piece by piece, from its headers to the log.

        Args:
            request: Headers and attributes; with `Request.has_body`, the body will not be shown.
        """
        self.decisions += 1
        witness = self._witness_of(request)
        slots = self.selector.slots
        max_held = self.limits.max_held_bytes
        return HttpExchange(slots, request, self.verdicts, self.rules, max_held, witness)

    def bypass(self, request: Request) -> HttpExchange:
        """Begin a stream that no adapter is shown, and that counts for nothing.

        Args:
            request: As for `open`.
        """
        return HttpExchange((), request, VerdictCounts(), None, self.limits.max_held_bytes)

    @property
    def connection_verdicts(self) -> VerdictCounts:
        """How many of the connections came to which verdict; those under way came to none yet."""
        return self._network.verdicts

    def connect(self, attributes: AttributeBag) -> TcpExchange:
        """Begin a TCP connection that passes the NETWORK adapters piece by piece.

        Args:
            attributes: What the front end knows of it.
        """
        self.connections += 1
        return self._network.exchange(attributes)

    def check_connection(self, attributes: AttributeBag) -> Decision | PendingDecision:
        """Ask the NETWORK adapters whether a TCP connection may begin; see `decide`."""
        self.decisions += 1
        check = ConnectionCheck(self._network.exchange(attributes))
        return self._run(check, self.verdicts)

    def allocate(self, request: Request, quota: str) -> Decision | PendingDecision:
        """Ask for an amount of a quota; never raises for what an adapter does.

        Args:
            request: Its attributes tell the quota (``mixer.quota``), and what its dimensions are.
            quota: The name.

        Returns:
            A decision whose `Decision.granted` is the least that the adapters grant.
        """
        self.allocations += 1
        serving = self._quotas.serving(quota)
        if serving is None:
            self.allocation_verdicts.add(UNKNOWN_QUOTA)
            return UNKNOWN_QUOTA
        chain = Chain(serving, request, self._witness_of(request))
        return self._run(chain, self.allocation_verdicts)

    def recorded(self) -> Recorded | None:
        """For one call, what adapters record in the ledger; None where there is no ledger."""
        return None if self.commits is None else Recorded(self.commits)

    def report(self, record: Record, recorded: Recorded | None = None) -> tuple[str, ...]:
        """Tell the adapters of a request that is over; never raises for what an adapter does.

        Args:
            record: The request.
            recorded: Told what they record of it in the ledger.

        Returns:
            The names of those that failed and do not fail open: they may not know of it.
        """
        self.reports += 1
        return report(self._loggers, record, recorded)

    def shut_down(self, finished: Callable[[], None]) -> None:
        """End every plugin in good order; there must be no requests any more.

        Args:
            finished: Called once all have ended, also those that put their end off.
        """
        self._owners.shut_down(finished)

    def close(self) -> None:
        """Free every VM, and give back what they shared.

        Plugins that were not shut down are, but not waited for.
        """
        self._owners.close()
        self._state.close()
        self._wasm.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
