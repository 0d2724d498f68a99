"""Documents as YAML."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mixer.convert.output import Output

_WIDE = 4096


class _Dumper(yaml.SafeDumper):
    """Without the aliases that nobody expects in a configuration."""

    def ignore_aliases(self, data: Any) -> bool:
        """See PyYAML."""
        del data
        return True


def as_yaml(outputs: Iterable[Output]) -> str:
    """All documents in one text."""
    return yaml.dump_all(
        [one.document() for one in outputs],
        Dumper=_Dumper,
        sort_keys=False,
        width=_WIDE,
        allow_unicode=True,
        explicit_start=True,
    )


def file_name(output: Output) -> str:
    """Of a document in a file of its own, such as ``wasmplugin.istio-system.denyall.yaml``."""
    parts = (output.kind.lower(), output.namespace, output.name)
    return f"{'.'.join(part for part in parts if part)}.yaml"


def write(outputs: Iterable[Output], target: Path, *, folder: bool, overwrite: bool) -> list[Path]:
    """Write documents into a file, or each into one of its own in a folder.

    Raises:
        FileExistsError: A file is there, and must not be overwritten; nothing is written.
        OSError: It cannot be written.
    """
    listed = list(outputs)
    texts = (
        {target / file_name(one): as_yaml([one]) for one in listed}
        if folder
        else {target: as_yaml(listed)}
    )
    for path in texts:
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} is there already")
    if folder:
        target.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)
