"""The commands ``mixer check``, ``mixer quota`` and ``mixer report``."""

from mixer.cli.mixer_v1.options import (
    Asking,
    BestEffort,
    DeduplicationId,
    Quotas,
    ReportBatchSize,
    asking,
)


@asking
def check(
    ask: Asking,
    quotas: Quotas = None,
    best_effort: BestEffort = True,
    deduplication_id: DeduplicationId = None,
) -> None:
    """Ask a Mixer whether a request may pass, and for quotas; the flags are those of `mixc`.

    The Mixer is this project's or one of Istio 1.x. Exit status: 0 if the request may pass, 1 if it
    is denied or a quota grants nothing, 2 if the command is unusable, 3 if a call failed.

    Examples: `mixer check -a request.path=/orders,request.method=GET`;
    `mixer check -m mixer.example:9091 --stringmap_attributes 'request.headers=x-api-key:secret'
    -q requestcount=1`; `mixer check -s source.name=reviews -r 1000 -c 4`
    """
    from mixer.cli.mixer_v1.checking import Check, run_check

    run_check(ask, Check("mixer check", tuple(quotas or ()), best_effort, deduplication_id))


@asking
def quota(
    ask: Asking,
    quotas: Quotas = None,
    best_effort: BestEffort = True,
    deduplication_id: DeduplicationId = None,
) -> None:
    """Ask a Mixer for quotas: `mixer check` that shows them alone, if the request may pass.

    Exit status: 0 if each quota grants something, 1 if one grants nothing or the request is denied,
    2 if the command is unusable, 3 if a call failed.

    Examples: `mixer quota -q requestcount=5 -s source.name=reviews`;
    `mixer quota -q requestcount=5 --no-best-effort --json`
    """
    from mixer.cli.mixer_v1.checking import Check, run_check

    texts = tuple(quotas or ())
    run_check(ask, Check("mixer quota", texts, best_effort, deduplication_id, quotas_first=True))


@asking
def report(ask: Asking, report_batch_size: ReportBatchSize = 1) -> None:
    """Tell a Mixer of requests that are over; the flags are those of `mixc`.

    `--repeat` is the number of records that each worker tells. Exit status: 0 if they were taken, 2
    if the command is unusable, 3 if a call failed.

    Examples: `mixer report -a response.code=200,response.duration=5ms`;
    `mixer report -s source.name=reviews -r 10000 --report_batch_size 100`
    """
    from mixer.cli.mixer_v1.reporting import run_report

    run_report(ask, report_batch_size)
