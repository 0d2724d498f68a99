"""``mixer convert``."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from mixer.cli import app

_SAMPLES = Path(__file__).parents[1] / "convert" / "samples"
_PARTLY = """
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: r}
spec:
  match: source.namespace
  requestHeaderOperations: [{name: x, values: ['"y"']}]
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: s}
spec:
  requestHeaderOperations: [{name: x, values: ['"y"']}]
"""


def _convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "istio.yaml"
    path.write_text(_PARTLY)
    return path


def test_what_can_be_carried_over_is_printed() -> None:
    """Documents on standard output, the rest on standard error."""
    result = _convert(_SAMPLES)
    assert result.exit_code == 0
    kinds = [one["kind"] for one in yaml.safe_load_all(result.stdout)]
    assert sorted(set(kinds)) == ["Mixer", "MixerRule", "WasmPlugin"]
    assert f"{_SAMPLES}/quota.yaml:10: items[0].spec.quotas: differs: " in result.stderr
    assert result.stderr.endswith("8 documents; 6 differs, 1 passed over\n")


def test_the_status_tells_that_something_is_missing(source: Path) -> None:
    """It is 3, with the place and the reason; the rest is written."""
    result = _convert(source)
    assert result.exit_code == 3
    assert f"{source}:6: spec.match: not carried over: must be a BOOL, not STRING" in result.stderr
    assert yaml.safe_load(result.stdout)["metadata"] == {"name": "s", "namespace": "default"}


def test_namespaces(source: Path) -> None:
    """Rules of the root namespace are for all traffic; others have to name theirs."""
    own = yaml.safe_load(_convert(source, "--namespace", "shop").stdout)
    assert own["metadata"]["namespace"] == "shop"
    assert '== "shop"' in own["spec"]["match"]
    root = yaml.safe_load(_convert(source, "--root-namespace", "default").stdout)
    assert "match" not in root["spec"]


def test_one_file(source: Path, tmp_path: Path) -> None:
    """Is written once, and then only over what is there if that is asked for."""
    target = tmp_path / "mixer.yaml"
    assert _convert(source, "-o", target).exit_code == 3
    target.write_text("mine")
    refused = _convert(source, "-o", target)
    assert refused.exit_code == 1
    assert f"{target} is there already: give --overwrite" in refused.stderr
    assert target.read_text() == "mine"
    assert _convert(source, "-o", target, "--overwrite").exit_code == 3
    assert yaml.safe_load(target.read_text())["kind"] == "MixerRule"


def test_a_folder(tmp_path: Path) -> None:
    """Gets a file for each document."""
    target = tmp_path / "new" / "mixer"
    assert _convert(_SAMPLES, "-o", target).exit_code == 0
    names = sorted(one.name for one in target.iterdir())
    assert "mixerrule.shop.marks.yaml" in names
    assert "wasmplugin.istio-system.refuse.yaml" in names
    assert len(names) == 8


def test_an_output_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    """It is named, with the reason."""
    target = tmp_path / "istio.yaml" / "a.yaml"
    result = _convert(source, "-o", target)
    assert result.exit_code == 1
    assert f"{target} cannot be written: Not a directory" in result.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [("a: [1\n", ":2: not YAML"), ("kind: Service\napiVersion: v1\n", "no Mixer configuration")],
)
def test_nothing_to_convert(tmp_path: Path, content: str, told: str) -> None:
    """Files that are no YAML, and folders without anything of Mixer's, are said to be so."""
    (tmp_path / "a.yaml").write_text(content)
    result = _convert(tmp_path)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not result.stdout


def test_what_is_written_is_valid(tmp_path: Path) -> None:
    """`mixer validate` takes it, and each adapter starts with its configuration."""
    target = tmp_path / "mixer.yaml"
    assert _convert(_SAMPLES, "-o", target).exit_code == 0
    result = CliRunner().invoke(app, ["validate", str(target)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "ok: 1 file, 1 rule, 6 adapters, each starts\n"
