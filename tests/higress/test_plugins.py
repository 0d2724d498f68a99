"""Each plugin does here what its documentation says."""

import pytest

from tests.higress import gateway, models, rewriting, transforming
from tests.higress.cases import Case
from tests.higress.host import Host

CASES = {**transforming.CASES, **rewriting.CASES, **gateway.CASES, **models.CASES}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_plugin(case: Case, host: Host) -> None:
    """What the client and the upstream see of each request is as documented."""
    for step, seen in zip(case.steps, host.run(case), strict=True):
        step.expected.check(seen)
