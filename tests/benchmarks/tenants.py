"""Resident memory over many requests, each of another tenant, for the adapters that keep any.

``python -m tests.benchmarks.tenants [TENANTS]``
"""

import gc
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from mixer.engine import Engine
from tests.benchmarks.adapters import Case, ask, ask_and_store
from tests.benchmarks.variants import Variant

_TENTHS = 10
_AT_ONCE = 1000
_TENANT = b"tenant-%07d"
_HEADER = 'request.headers["x-tenant"]'
_PLUGINS = {
    "quota": {
        "quotas": [{"name": "q", "max": 10, "window": "1h", "dimensions": {"tenant": _HEADER}}]
    },
    "billing": {"subject": _HEADER, "recordOn": "request"},
}


def measure(tenants: int) -> Iterator[tuple[str, list[float]]]:
    """MiB after each tenth of the tenants, by adapter.

    Args:
        tenants: How many; thousands times ten.
    """
    for name, settings in _PLUGINS.items():
        with tempfile.TemporaryDirectory(prefix="mixer-tenants-") as folder:
            plugin = {"url": f"builtin://{name}", "pluginConfig": settings}
            ledger = Path(folder, "usage.db") if name == "billing" else None
            engine = Case(name, plugin, ledger=ledger).engine()
            yield name, list(_resident(engine, tenants))
            engine.close()


def _resident(engine: Engine, tenants: int) -> Iterator[float]:
    placeholder = _TENANT % 0
    (template,) = Variant("", None, ({"x-tenant": placeholder.decode()},)).requests()
    process, asks = psutil.Process(), ask if engine.commits is None else ask_and_store
    for first in range(0, tenants, _AT_ONCE):
        each = range(first, first + _AT_ONCE)
        asks(engine, [template.replace(placeholder, _TENANT % one) for one in each], _AT_ONCE)
        if each.stop % (tenants // _TENTHS) == 0:
            gc.collect()
            yield process.memory_info().rss / 2**20


def main() -> None:
    """Print them."""
    tenants = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for name, found in measure(tenants):
        print(f"{name:10}" + "".join(f"{mib:8.1f}" for mib in found), flush=True)


if __name__ == "__main__":
    main()
