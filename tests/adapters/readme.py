"""The pages of adapters: their examples, and the fields that their tables name."""

import re
from pathlib import Path
from typing import Any

import yaml

_ADAPTERS = Path(__file__).parents[2] / "adapters"


def page(adapter: str) -> str:
    """The README of an adapter."""
    return (_ADAPTERS / adapter / "README.md").read_text()


def examples(adapter: str) -> list[Any]:
    """The configurations that its section of examples shows."""
    _, _, section = page(adapter).partition("\n## Examples\n")
    blocks = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def documented(adapter: str) -> set[str]:
    """Every field of its tables, by the last part of its name."""
    names = re.findall(r"(?m)^\| `([A-Za-z_.\[\]]+)` \| (?!---)", page(adapter))
    return {name.rpartition(".")[2] for name in names}


def known(adapter: str) -> set[str]:
    """Every field that its parser knows."""
    texts = [path.read_text() for path in (_ADAPTERS / adapter / "src/config").glob("*.rs")]
    found = re.compile(r"(?:object\(&|known = )\[(.*?)\]", flags=re.DOTALL)
    lists = [one for text in texts for one in found.findall(text)]
    return {name for one in lists for name in re.findall(r'"(\w+)"', one)}
