"""New projects build, and their tests pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixer.cli import app
from mixer.config import load
from mixer.templates import Language
from tests.support.toolchains import needs

_COMMANDS = {
    Language.RUST: ("/usr/bin/cargo", "/usr/bin/wasm-ld-22"),
    Language.GO: ("go",),
    Language.ASSEMBLYSCRIPT: ("npm",),
}
_PACKAGES = {
    Language.RUST: "rustc-web cargo-web rust-web-src lld-22",
    Language.GO: "golang-go 1.24 or newer",
    Language.ASSEMBLYSCRIPT: "npm",
}


def new(language: str, name: str, folder: Path) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["adapter", "new", "-l", language, name, "-d", str(folder)])
    return found.exit_code, found.output


@pytest.mark.parametrize("language", Language)
def test_a_new_project(language: Language, tmp_path: Path) -> None:
    """It builds with its toolchain, and the tests that came with it pass."""
    needs(_COMMANDS[language], _PACKAGES[language])
    folder = tmp_path / "project"
    status, output = new(language, "team-header", folder)
    assert status == 0
    assert f"next: cd {folder} && make test" in output
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made = subprocess.run(
        ["make", "test"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "5 passed" in made.stdout
    assert "Warning" not in made.stdout


@pytest.mark.parametrize("language", Language)
def test_everything_is_filled_in(language: Language, tmp_path: Path) -> None:
    """Nothing is left of the template, and no name of this project or machine is in it."""
    new(language, "team-header", tmp_path / "a")
    files = [one for one in (tmp_path / "a").rglob("*") if one.is_file()]
    assert {".gitignore", "Makefile", "README.md", "mixer.yaml", "test_plugin.py"} <= {
        one.name for one in files
    }
    for one in files:
        text = one.read_text()
        assert "{{name}}" not in text
        assert "{{crate}}" not in text
        assert str(Path.home()) not in text


BAD_NAMES = ("", "Team", "a_b", "-a", "a--b", "a-", "9a", "a" * 64, "../a", "std")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_refused(name: str, tmp_path: Path) -> None:
    """The message says what a name is made of."""
    status, output = new("rust", name, tmp_path / "a")
    assert status == 2
    assert "mixer adapter new" in output
    assert not (tmp_path / "a").exists()


def test_a_language_that_there_is_not(tmp_path: Path) -> None:
    """The message names those that there are."""
    status, output = new("cobol", "team", tmp_path / "a")
    assert status == 2
    assert output == (
        "mixer adapter new: --lang must be one of rust, go, assemblyscript, not 'cobol'\n"
    )


@pytest.mark.parametrize("without", [(), ("-p", "no:asyncio")])
def test_pytest_has_nothing_to_warn_of(without: tuple[str, ...], tmp_path: Path) -> None:
    """Whether or not pytest-asyncio is installed, and whatever is configured above the project."""
    assert new("go", "team", tmp_path / "a")[0] == 0
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    asked = [sys.executable, "-W", "default", "-m", "pytest", "--collect-only", *without]
    seen = subprocess.run(
        asked, cwd=tmp_path / "a", capture_output=True, text=True, timeout=60, check=False
    )
    assert seen.returncode == 0, seen.stdout
    assert "arning" not in seen.stdout + seen.stderr


def test_the_name_of_a_dependency(tmp_path: Path) -> None:
    """Cargo could not lock two crates of one name; other languages do not mind."""
    status, output = new("rust", "log", tmp_path / "a")
    assert status == 2
    assert "'log' is a name that the toolchains use themselves" in output
    assert new("go", "log", tmp_path / "b")[0] == 0


@pytest.mark.parametrize("name", ["true", "on", "null", "team"])
def test_the_configuration_is_sound(name: str, tmp_path: Path) -> None:
    """Also where the name means something else in YAML."""
    assert new("go", name, tmp_path / "a")[0] == 0
    (tmp_path / "a" / "plugin.wasm").write_bytes(b"")
    (plugin,) = load(tmp_path / "a" / "mixer.yaml").plugins
    assert plugin.name == name


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    """Nothing is written over."""
    (tmp_path / "mine").write_text("")
    status, output = new("go", "team", tmp_path)
    assert status == 2
    assert "is not empty" in output
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The system's reason is told."""
    (tmp_path / "file").write_text("")
    status, output = new("go", "team", tmp_path / "file" / "below")
    assert status == 2
    assert "Not a directory" in output
