"""The engine: a configuration, loaded, and the decisions made with it."""

import hashlib
import logging
from collections.abc import Callable
from types import TracebackType

from mixer.attributes import AttributeBag, Manifest
from mixer.callouts.ports import Callouts, NoCallouts
from mixer.config import Configuration, Problem, WasmPlugin
from mixer.engine.adapter import Adapter, AdapterState
from mixer.engine.admission import Admission
from mixer.engine.cache import DecisionCache, Trace
from mixer.engine.chain import Chain
from mixer.engine.decision import Decision, VerdictCounts
from mixer.engine.exchange import HttpExchange
from mixer.engine.expressions import compile_expressions
from mixer.engine.failure import CAPABILITIES, DIGEST, URL, LoadFailure
from mixer.engine.notices import notices
from mixer.engine.pending import PendingDecision, decide
from mixer.engine.quotas import UNKNOWN_QUOTA, QuotaAdapters
from mixer.engine.record import Record
from mixer.engine.reporting import loggers, report
from mixer.engine.request import Request
from mixer.engine.scheduling import scheduler_of_this_thread
from mixer.engine.sharing import open_stores, shared_services
from mixer.engine.tcp import ConnectionCheck, NetworkAdapters, TcpExchange
from mixer.engine.vm_owners import VmOwners
from mixer.engine.wasm_engines import WasmEngines
from mixer.proxywasm import ProxyWasmModule, Scheduler, unknown_capabilities
from mixer.vm import ModuleError, read_module

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
        adapters: In the order in which they run; services, through which no request goes, too.
        decisions: How many were made or begun.
        connections: How many TCP connections were carried or begun.
        decision_timeout: Seconds that a front end waits for a pending decision at the most.
        verdicts: How many of them came to which verdict.
        allocations: How many quotas were asked for.
        allocation_verdicts: How many of them came to which verdict.
        reports: How many records the adapters were told of.
        cache: The decisions that adapters allow to be kept.
        rate_limit: Settings of the front ends for rate limits.
        services: What the adapters share: data, queues, metrics. It outlives their VMs.
        rules: Applied to what the adapters allowed; None where there are none.

    Raises:
        ConfigError: An expression of an adapter or a rule is wrong.
        StoreError: The configured store of shared state cannot be opened.
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
        expressions = compile_expressions(configuration)
        self.rules, self._matches = expressions.rules, expressions.matches
        scheduler = scheduler or scheduler_of_this_thread()
        self._stores = open_stores(configuration.mixer.state, scheduler)
        self._wasm = WasmEngines(configuration)
        self._progress = progress
        self.services = shared_services(self._stores, scheduler, callouts or NoCallouts())
        self._owners = VmOwners(self.services, configuration.mixer.limits.max_isolated_streams)
        self.adapters = tuple(self._adapter(p, on_change) for p in configuration.plugins)
        filters = [a for a in self.adapters if not a.plugin.is_service]
        self._filters = tuple(a for a in filters if not a.plugin.is_network)
        held = configuration.mixer.limits.max_held_bytes
        self._network = NetworkAdapters([a for a in filters if a.plugin.is_network], held)
        self._loggers = loggers(self._filters)
        self._quotas = QuotaAdapters(self._filters)
        limits = configuration.mixer.decision_cache
        self.cache = DecisionCache(limits, {a.name: a for a in self._filters})
        self.admission = Admission(Manifest(configuration.mixer.attribute_manifest))
        self.decisions = 0
        self.connections = 0
        self.allocations = 0
        self.reports = 0
        self._max_held_bytes = held
        self.rate_limit = configuration.mixer.rate_limit
        self.decision_timeout = configuration.mixer.limits.decision_timeout
        self.verdicts = VerdictCounts()
        self.allocation_verdicts = VerdictCounts()
        for adapter in self.adapters:
            adapter.start()

    def _adapter(self, plugin: WasmPlugin, on_change: Callable[[Adapter], None]) -> Adapter:
        module, expression = self._module(plugin), self._matches.get(plugin.qualified_name)
        if isinstance(module, LoadFailure):
            return Adapter(plugin, module, None, expression=expression, on_change=on_change)
        linker = self._wasm.for_plugin(plugin).linkers.of(plugin.allowed_capabilities)
        owner = self._owners.owner(plugin, module, linker)
        return Adapter(plugin, module, owner, expression=expression, on_change=on_change)

    def _module(self, plugin: WasmPlugin) -> ProxyWasmModule | LoadFailure:
        try:
            code = read_module(plugin.module_path)
        except ModuleError as error:
            return LoadFailure(URL, str(error))
        if unknown := unknown_capabilities(plugin.allowed_capabilities or frozenset()):
            names = ", ".join(unknown)
            return LoadFailure(CAPABILITIES, f"{names}: neither a host call nor a callback")
        digest = hashlib.sha256(code).hexdigest()
        if plugin.expected_sha256 not in (None, digest):
            return LoadFailure(DIGEST, f"the SHA-256 of {plugin.module_path} is {digest}")
        loaded = self._wasm.for_plugin(plugin)
        try:
            if digest not in loaded.modules:
                self._progress(f"loading {plugin.qualified_name} ({len(code):,} bytes)")
                loaded.load(digest, code)
            return loaded.modules[digest]
        except ModuleError as error:
            return LoadFailure(URL, f"{plugin.module_path}: {error}")

    @property
    def broken(self) -> tuple[Adapter, ...]:
        """The adapters that did not load or start."""
        return tuple(a for a in self.adapters if a.state is AdapterState.BROKEN)

    @property
    def notices(self) -> tuple[Problem, ...]:
        """What is accepted, and may not do what was meant."""
        return tuple(n for a in self.adapters if a.module for n in notices(a.plugin, a.module))

    def decide(self, request: Request) -> Decision | PendingDecision:
        """Run a request through the adapters; never raises for what an adapter does.

        Returns:
            The decision; a pending one only where an adapter waits for a callout.
        """
        self.decisions += 1
        if self.cache.in_use:
            return self._decide_with_cache(request)
        decision = decide(Chain(self._filters, request, rules=self.rules), self.verdicts)
        if isinstance(decision, Decision):
            self.cache.note(decision)
        return decision

    def _decide_with_cache(self, request: Request) -> Decision | PendingDecision:
        known = self.cache.find(request)
        if known is not None:
            self.verdicts.add(known.verdict)
            return known
        trace = Trace()
        decision = decide(Chain(self._filters, request, trace, self.rules), self.verdicts)
        if isinstance(decision, Decision):
            self.cache.keep(request, trace, decision)
        return decision

    def open(self, request: Request) -> HttpExchange:
        """Begin a stream that passes the adapters piece by piece, from its headers to the log.

        Args:
            request: Headers and attributes; what else it has does not count.
        """
        self.decisions += 1
        bag = request.attributes
        matching = [a for a in self._filters if a.matches is None or a.matches(bag)]
        return HttpExchange(matching, request, self.verdicts, self.rules, self._max_held_bytes)

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
        return decide(check, self.verdicts)

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
        if not serving:
            self.allocation_verdicts.add(UNKNOWN_QUOTA.verdict)
            return UNKNOWN_QUOTA
        return decide(Chain(serving, request), self.allocation_verdicts)

    def report(self, record: Record) -> None:
        """Tell the adapters of a request that is over; never raises for what an adapter does."""
        self.reports += 1
        report(self._loggers, record)

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
        self._stores.close()
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
