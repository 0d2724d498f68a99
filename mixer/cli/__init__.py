"""The ``mixer`` command; each subcommand imports what it needs when it runs."""

import typer

from mixer.cli.adapter import adapter
from mixer.cli.convert import convert
from mixer.cli.demo import demo
from mixer.cli.explain import explain
from mixer.cli.inspect import inspect
from mixer.cli.mixer_v1.commands import check, quota, report
from mixer.cli.mixer_v1.flags import MixcCommand
from mixer.cli.piping import Quiet
from mixer.cli.run import run
from mixer.cli.run_tcp import run_tcp
from mixer.cli.serve import serve
from mixer.cli.usage.commands import usage
from mixer.cli.validate import validate
from mixer.cli.version import show_version

app = typer.Typer(
    name="mixer",
    cls=Quiet,
    help="One decision service for every proxy: Proxy-Wasm adapters, out of the proxy.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(show_version)
for command in (
    serve,
    validate,
    run,
    run_tcp,
    inspect,
    explain,
    check,
    quota,
    report,
    convert,
    demo,
):
    as_mixc = MixcCommand if command in {check, quota, report} else None
    app.command(command.__name__.replace("_", "-"), cls=as_mixc)(command)
app.add_typer(adapter)
app.add_typer(usage)
