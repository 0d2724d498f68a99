"""Each plugin does here what its documentation says."""

import pytest

from tests.higress import catalogue
from tests.higress.cases import Case
from tests.higress.host import Host


@pytest.mark.parametrize("case", catalogue.CASES.values(), ids=catalogue.CASES)
def test_plugin(case: Case, host: Host) -> None:
    """What the client and the upstream see of each request is as documented."""
    for step, seen in zip(case.steps, host.run(case), strict=True):
        step.expected.check(seen)
