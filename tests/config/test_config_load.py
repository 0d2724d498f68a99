"""Files and folders."""

import os

import pytest

from mixer.config import ConfigError, load


def refused(path):
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value).splitlines()


def test_a_folder_is_all_its_yaml_files(tmp_path, as_plugin, as_mixer):
    """*.yaml and *.yml directly in the folder are read in order; other files are not."""
    (tmp_path / "b.yml").write_text(as_mixer("shutdown: {grace: 1s}"))
    (tmp_path / "a.yaml").write_text(as_plugin())
    (tmp_path / "c.txt").write_text("]")
    (tmp_path / ".#a.yaml").symlink_to("nowhere")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.yaml").write_text("]")
    found = load(tmp_path)
    assert [one.name for one in found.files] == ["a.yaml", "b.yml"]
    assert found.mixer.shutdown.grace == 1.0
    assert found.plugins[0].module_path == tmp_path / "a.wasm"


def test_a_mounted_config_map_is_read(tmp_path, as_plugin):
    """Links are followed, of the folder and of files, and paths are relative to the link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.yaml").write_text(as_plugin())
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yaml").symlink_to("../real/a.yaml")
    (tmp_path / "link").symlink_to("conf")
    assert load(tmp_path / "link").plugins[0].module_path == tmp_path / "link" / "a.wasm"


def test_problems_of_all_files_are_told(tmp_path, as_plugin):
    """One run tells what is wrong with every file."""
    (tmp_path / "a.yaml").write_text(as_plugin("phase: X"))
    (tmp_path / "b.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "c.yaml").write_text("# nothing\n")
    (tmp_path / "d.yaml").symlink_to("nowhere")
    (tmp_path / "e.yaml").mkdir()
    os.mkfifo(tmp_path / "f.yaml")
    (tmp_path / "g.yaml").write_text(as_plugin())
    (tmp_path / "h.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    assert [one.removeprefix(f"{tmp_path}/") for one in refused(tmp_path)] == [
        "a.yaml:6: spec.phase: must be one of UNSPECIFIED_PHASE, AUTHN, AUTHZ, STATS, not 'X'",
        "b.yaml:2: is not UTF-8 text",
        "c.yaml: has no document in it",
        "d.yaml: cannot be read: No such file or directory",
        "e.yaml: cannot be read: Is a directory",
        "f.yaml: is not a regular file",
        f"g.yaml:3: metadata.name: the name is taken: the first is at {tmp_path}/a.yaml:3",
        "h.yaml: is larger than 1048576 bytes",
    ]


def test_a_path_that_does_not_exist_is_told(tmp_path):
    """A missing path is a problem like any other."""
    path = tmp_path / "x"
    assert refused(path) == [f"{path}: cannot be read: No such file or directory"]


def test_a_folder_without_yaml_is_told(tmp_path):
    """A folder with nothing to read is a mistake."""
    assert refused(tmp_path) == [f"{tmp_path}: no *.yaml or *.yml file in this folder"]


def test_a_byte_order_mark_is_no_content(tmp_path, as_plugin):
    """Files of editors that write a byte order mark are read."""
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + as_plugin().encode())
    assert load(tmp_path / "a.yaml").plugins[0].name == "a"
