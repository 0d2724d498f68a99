"""Print every figure, with its ratio to a baseline of the same run."""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mixer.demo.credentials import new_credentials
from mixer.vm import wasmtime_version
from tests.benchmarks import (
    access_logs,
    adapters,
    callouts,
    client_cache,
    decision_cache,
    engine_cpu,
    ext_proc,
    fresh_vms,
    host_calls,
    latency,
    ledger,
    middleware,
    mixer_wire,
    report,
    rules,
    server_cpu,
    shedding,
    start,
    stores,
)
from tests.benchmarks.variants import variants

_console = Console(width=100, highlight=False)

# More than the auth adapter remembers, so that none is there when its turn comes again.
_NEW_TOKENS = 512


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, wasmtime {wasmtime_version()}"
    )


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    _console.print(title, style="bold")
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    _console.print(table)
    _console.print()


def _print_server(costs: list[server_cpu.ServerCost]) -> None:
    base = costs[0].median
    _table(
        f"Server CPU for a check over gRPC, {server_cpu._CONCURRENCY} calls at a time",
        ("", "us", "ratio", "over baseline", "min-max us", "resident MiB"),
        [
            (
                c.name,
                f"{c.median:.0f}",
                f"{c.median / base:.2f}",
                f"{c.median - base:+.0f} us",
                f"{min(c.cpu_us):.0f}-{max(c.cpu_us):.0f}",
                f"{c.resident_mib:.0f}",
            )
            for c in costs
        ],
    )


def _print_ext_proc(costs: list[ext_proc.StreamCost]) -> None:
    base = costs[0].median
    _table(
        "Server CPU for a stream of ext_proc, request headers only",
        ("", "us", "ratio", "over baseline", "min-max us"),
        [
            (
                c.name,
                f"{c.median:.0f}",
                f"{c.median / base:.2f}",
                f"{c.median - base:+.0f} us",
                f"{min(c.cpu_us):.0f}-{max(c.cpu_us):.0f}",
            )
            for c in costs
        ],
    )


def _print_engine(figures: list[tuple[str, float]]) -> None:
    base = figures[0][1]
    _table(
        "The same without transport: CheckRequest bytes to CheckResponse bytes",
        ("", "us", "over no adapter"),
        [(name, f"{us:.1f}", f"{us - base:+.1f} us") for name, us in figures],
    )


def _print_cache(costs: list[decision_cache.CacheCost]) -> None:
    _table(
        "An answer from the decision cache, likewise",
        ("", "made us", "used us", "ratio", "hits"),
        [
            (c.name, f"{c.made:.1f}", f"{c.used:.1f}", f"{c.used / c.made:.3f}", f"{c.hits:.0%}")
            for c in costs
        ],
    )


def _print_rules(costs: list[rules.RuleCost]) -> None:
    _table(
        f"CPU of a check without transport, with one rule and with {rules.MANY:,}",
        ("", "one us", "many us", "more"),
        [(c.kind, f"{c.one:.1f}", f"{c.many:.1f}", f"{c.many - c.one:+.1f} us") for c in costs],
    )


def _print_tenants(costs: list[rules.TenantCost]) -> None:
    first, _, last = costs
    _table(
        "Tenants of auth, each with a configuration of its own",
        ("tenants", "VMs", "start ms", "linear KiB", "Python KiB", "answer after a trap ms"),
        [
            (
                f"{c.tenants:,}",
                str(c.vms),
                f"{c.start * 1e3:.0f}",
                f"{c.linear >> 10:,}",
                f"{c.python >> 10:,}",
                f"{c.restart:.1f}",
            )
            for c in costs
        ],
    )
    more = last.tenants - first.tenants
    _console.print(
        f"One more tenant: {(last.linear - first.linear) / more / 1024:.1f} KiB of linear memory,"
        f" {(last.python - first.python) / more / 1024:.1f} KiB of Python's,"
        f" {(last.start - first.start) / more * 1e6:.0f} us to start\n"
    )


def _print_report(costs: list[report.RecordCost]) -> None:
    _table(
        f"A record of a report, {report.RECORDS} in a batch: bytes to what adapters counted",
        ("", "us", "over decoding", "ratio to decoding", "ratio to empty module"),
        report.rows(costs),
    )


def _print_shedding(costs: list[shedding.SheddingCost]) -> None:
    _table(
        "CPU of a check that load shedding refuses, and of one that is served",
        ("", "served us", "refused us", "ratio", "without gRPC us", "refused us", "ratio"),
        [
            (
                c.name,
                f"{c.served:.0f}",
                f"{c.refused:.0f}",
                f"{c.refused / c.served:.2f}",
                f"{c.served_alone:.1f}",
                f"{c.refused_alone:.1f}",
                f"{c.refused_alone / c.served_alone:.3f}",
            )
            for c in costs
        ],
    )


def _print_adapters(costs: list[adapters.AdapterCost]) -> None:
    _table(
        "CPU of the built-in adapters, without transport",
        adapters.COLUMNS,
        adapters.rows(costs),
    )


def _print_host_calls(costs: list[host_calls.HostCallCost]) -> None:
    _table(
        "One host call, as the module measures it",
        ("", "here us", "Envoy's V8 us", "ratio"),
        [(c.name, f"{c.here:.2f}", f"{c.envoy:.2f}", f"{c.here / c.envoy:.0f}") for c in costs],
    )


def _print_callouts(cost: callouts.CalloutCost) -> None:
    _table(
        "CPU of an HTTP exchange with an upstream in the same process",
        ("", "us", "ratio"),
        [
            ("h11 on asyncio's streams", f"{cost.plain:.0f}", "1.00"),
            ("HTTP callout", f"{cost.callout:.0f}", f"{cost.callout / cost.plain:.2f}"),
        ],
    )


def _print_client(costs: list[client_cache.CacheCost]) -> None:
    base = costs[0].us
    _table(
        "A check that the client answers from its cache",
        ("", "us", "a second", "ratio"),
        [(c.name, f"{c.us:.2f}", f"{1e6 / c.us:,.0f}", f"{c.us / base:.0f}") for c in costs],
    )


def _print_middleware(costs: list[middleware.MiddlewareCost]) -> None:
    alone = costs[0].median
    _table(
        "CPU of a request to an application of ASGI",
        ("", "us", "more", "ratio"),
        [
            (c.name, f"{c.median:.0f}", f"{c.median - alone:+.0f} us", f"{c.median / alone:.2f}")
            for c in costs
        ],
    )


def _print_fresh(costs: list[fresh_vms.FreshCost]) -> None:
    stays = {c.module: c.stream for c in costs if not c.instance}
    _table(
        "A VM for each stream: CPU of one stream, without a front end",
        ("", "VM", "instance us", "+ start", "+ stream", "over one that stays", "ratio"),
        [
            (
                c.module,
                c.vm,
                f"{c.instance:.0f}",
                f"{c.started:.0f}",
                f"{c.stream:.0f}",
                f"{c.stream - stays[c.module]:+.0f} us",
                f"{c.stream / stays[c.module]:.1f}",
            )
            for c in costs
        ],
    )


def _print_latency(latencies: list[latency.Latency]) -> None:
    plain = {e.request: e.p50 for e in latencies if e.listener == latency.PLAIN}
    _table(
        "Latency through the real Envoy, one connection",
        ("", "listener", "p50 us", "p99 us", "added p50", "ratio"),
        [
            (
                e.request,
                e.listener,
                f"{e.p50:.0f}",
                f"{e.p99:.0f}",
                f"{e.p50 - plain[e.request]:+.0f} us",
                f"{e.p50 / plain[e.request]:.2f}",
            )
            for e in latencies
        ],
    )


def _print_access_logs(costs: list[access_logs.StreamCost], entries: int) -> None:
    _table(
        f"{entries:,} entries of an access log over one stream",
        access_logs.COLUMNS,
        access_logs.rows(costs),
    )


def _print_mixer_wire(costs: list[mixer_wire.WireCost]) -> None:
    base = costs[0].us
    _table(
        "Mixer's messages: CPU to read one, or one record of a report of 100",
        ("", "us", "ratio"),
        [(c.name, f"{c.us:.1f}", f"{c.us / base:.1f}") for c in costs],
    )


def _print_stores(figures: list[tuple[str, stores.Figures]]) -> None:
    base = figures[0][1]
    _table(
        "Stores of shared state: microseconds of a call with 100 bytes, and the ratio to memory",
        ("", *stores.OPERATIONS),
        [
            (name, *(f"{us[one]:.2f} ({us[one] / base[one]:.1f})" for one in stores.OPERATIONS))
            for name, us in figures
        ],
    )


def _print_ledger(costs: list[ledger.LedgerCost]) -> None:
    _table(
        f"The ledger; this disk takes {ledger.syncs_per_second():,.0f} pages a second for good",
        ("", "records/s", "CPU us", "records of a commit", "ms of a commit"),
        [
            (
                c.name,
                f"{c.per_second:,.0f}",
                f"{c.cpu_us:.1f}",
                f"{c.batch:.0f}",
                f"{c.commit_ms:.2f}",
            )
            for c in costs
        ],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--checks", type=int, default=2000, help="checks in each round")
    parser.add_argument("--exchanges", type=int, default=1000, help="requests through Envoy")
    parser.add_argument(
        "--entries", type=int, default=access_logs.ALL, help="entries of an access log"
    )
    options = parser.parse_args()
    credentials = new_credentials(more_tokens=_NEW_TOKENS)
    _console.print(_machine(), end="\n\n")
    with tempfile.TemporaryDirectory(prefix="mixer-bench-") as folder:
        compared = variants(Path(folder), credentials)
        _progress("server CPU over gRPC")
        _print_server(asyncio.run(server_cpu.measure(compared, options.checks)))
        _progress("ext_proc")
        _print_ext_proc(asyncio.run(ext_proc.measure(compared, options.checks)))
        _progress("CPU without transport")
        _print_engine(engine_cpu.measure(compared, options.checks))
        _progress("decision cache")
        _print_cache(decision_cache.measure(compared, options.checks))
        _progress("rules")
        _print_rules(rules.measure(Path(folder), options.checks))
        _print_tenants(rules.measure_tenants(Path(folder), (1, 10, rules.MANY)))
        _progress("reports")
        _print_report(report.measure(Path(folder), max(1, options.checks // 200)))
        _progress("Mixer's messages")
        _print_mixer_wire(mixer_wire.measure(options.checks * 2))
        _progress("load shedding")
        _print_shedding(asyncio.run(shedding.measure(compared, options.checks)))
        admitting = shedding.admitting(100_000)
        _console.print(f"A check that load shedding lets in costs {admitting:.1f} us more\n")
        _progress("adapters")
        _print_adapters(adapters.measure(options.checks))
        _progress("stores")
        _print_stores(stores.measure(max(10, options.checks * 5)))
        _progress("ledger")
        _print_ledger(ledger.measure())
        _progress("middleware")
        _print_middleware(asyncio.run(middleware.measure(compared, options.checks)))
        _progress("a VM for each stream")
        _print_fresh(fresh_vms.measure(options.checks // 10))
        _progress("start")
        seconds = asyncio.run(start.measure(compared[3], 5))
        _console.print(f"Start to SERVING with auth, warm compile cache: {seconds:.2f} s\n")
        _progress("host calls")
        _print_host_calls(asyncio.run(host_calls.measure(Path(folder))))
    _progress("access logs")
    told = asyncio.run(access_logs.measure(options.entries, _progress))
    _print_access_logs(told, options.entries)
    _progress("callouts")
    _print_callouts(asyncio.run(callouts.measure(options.exchanges)))
    _progress("client")
    _print_client(client_cache.measure(options.checks * 5))
    _print_latency(asyncio.run(latency.measure(credentials, options.exchanges, _progress)))


if __name__ == "__main__":
    main()
