"""``mixer convert``: from a Mixer configuration of Istio 1.x to one of this project."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import fail

if TYPE_CHECKING:
    from mixer.convert import Conversion

_INCOMPLETE = 3
_YAML = frozenset({".yaml", ".yml"})


def convert(
    path: Annotated[
        Path, typer.Argument(help="A YAML file, or a folder of them and of other folders.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write: a .yaml file, or a folder, which gets a file for each document. "
            "Without it, standard output.",
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Namespace of the resources that name none.")
    ] = "default",
    root_namespace: Annotated[
        str, typer.Option(help="Namespace whose rules are for all traffic.")
    ] = "istio-system",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over files that are there.")
    ] = False,
) -> None:
    """Convert Istio 1.x Mixer configuration: rules, handlers, instances, attribute manifests.

    What is not carried over, or differs, is printed to standard error with file and line.

    Exit status: 0 if everything was carried over, 3 if not everything was, 1 if nothing could be
    read or written, 2 if the command is wrong.

    Examples: `mixer convert istio/ -o mixer.yaml`; `kubectl get rule,handler,instance,
    attributemanifest -A -o yaml > istio.yaml`, then `mixer convert istio.yaml -o mixer/`
    """  # fmt: skip
    conversion = _convert(path, namespace, root_namespace)
    for finding in conversion.findings:
        print(finding, file=sys.stderr)
    if conversion.empty and conversion.complete:
        fail(f"mixer convert: {path}: no Mixer configuration in it: no rule, handler, instance or "
             "attributemanifest of config.istio.io")  # fmt: skip
    if conversion.outputs:
        _write(conversion, output, overwrite=overwrite)
    print(_summary(conversion), file=sys.stderr)
    if not conversion.complete:
        raise typer.Exit(_INCOMPLETE)


def _convert(path: Path, namespace: str, root_namespace: str) -> "Conversion":
    from mixer.config import ConfigError
    from mixer.convert import convert as convert_path

    try:
        return convert_path(path, namespace, root_namespace)
    except ConfigError as error:
        count = len(error.problems)
        fail(f"{error}\n{count} problem{'s' if count != 1 else ''}: nothing was converted")


def _write(conversion: "Conversion", output: Path | None, *, overwrite: bool) -> None:
    from mixer.convert import as_yaml, write

    if output is None:
        sys.stdout.write(as_yaml(conversion.outputs))
        return
    folder = output.is_dir() or output.suffix not in _YAML
    try:
        write(conversion.outputs, output, folder=folder, overwrite=overwrite)
    except FileExistsError as error:
        fail(f"mixer convert: {error}: give --overwrite, or another --output")
    except OSError as error:
        fail(f"mixer convert: {output} cannot be written: {error.strerror or error}")


def _summary(conversion: "Conversion") -> str:
    from mixer.convert import Outcome

    count = dict.fromkeys(Outcome, 0)
    for finding in conversion.findings:
        count[finding.outcome] += 1
    documents = len(conversion.outputs)
    told = ", ".join(f"{number} {one}" for one, number in count.items() if number)
    return f"{documents} document{'' if documents == 1 else 's'}{f'; {told}' if told else ''}"
