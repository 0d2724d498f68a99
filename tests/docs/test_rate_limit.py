"""The page about rate limits: its example does what its table says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixer.config import loads
from mixer.engine import Engine
from tests.adapters.test_quota_domains import OK, ask
from tests.api.rate_limit_calls import request_bytes

_PAGE = (Path(__file__).parents[2] / "docs" / "rate-limit.md").read_text()
_ROWS = re.findall(r"^\| (`\w+=.*?) \| ((?:OK|OVER_LIMIT).*?) \|$", _PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the example."""
    folder = tmp_path_factory.mktemp("page")
    found = re.search(r"```yaml\n(.*?)```", _PAGE, flags=re.DOTALL)
    assert found is not None
    configuration = loads(found[1], base=folder, environ={"XDG_CACHE_HOME": str(folder)})
    with Engine(configuration) as loaded:
        assert loaded.broken == ()
        yield loaded


@pytest.mark.parametrize(("descriptor", "answers"), _ROWS)
def test_the_example_answers_as_its_table_says(
    engine: Engine, descriptor: str, answers: str
) -> None:
    """Each row, with requests in a row."""
    entries = tuple((key, value) for key, value in re.findall(r"`(\w+)=([^`]*)`", descriptor))
    given = [
        "OK" if ask(engine, request_bytes(entries)).overall_code == OK else "OVER_LIMIT"
        for _ in answers.split(", ")
    ]
    assert ", ".join(given) == answers


def test_there_are_rows() -> None:
    """The table is found."""
    assert len(_ROWS) == 6
