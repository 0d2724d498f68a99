"""The page about Higress tells what these tests show."""

import re
from pathlib import Path

from tests.higress.catalogue import CALLOUTS, CASES, compared

_PAGE = Path(__file__).parents[2] / "docs" / "higress.md"
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", flags=re.MULTILINE)


def test_every_plugin_of_the_package_has_a_row(higress: Path) -> None:
    """The table names each plugin of the package with its version, and how Envoy compares."""
    shipped = {(file.parts[-3], file.parts[-2]) for file in higress.glob("*/*/plugin.wasm")}
    rows = _ROW.findall(_PAGE.read_text())
    assert {(plugin, version) for plugin, version, _ in rows} == shipped
    assert {plugin: told for plugin, _, told in rows} == {
        plugin: compared(plugin) for plugin, _ in shipped
    }


def test_every_plugin_of_the_package_is_exercised(higress: Path) -> None:
    """None is only loaded."""
    plugins = {file.parts[-3] for file in higress.glob("*/*/plugin.wasm")}
    assert plugins == {case.plugin for case in CASES.values()} | CALLOUTS.keys()
