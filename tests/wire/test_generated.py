"""The generated modules are what the project's proto texts say."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.rpc import status_pb2
from grpc_tools import protoc

from mixer.wire import admin_pb2, ledger_pb2, mixer_v1_pb2, quota_pb2

_PROTO = Path(__file__).parents[2] / "proto"
_MODULES = {
    "istio/mixer/v1/mixer.proto": mixer_v1_pb2,
    "mixer/admin/v1/admin.proto": admin_pb2,
    "mixer/ledger/v1/ledger.proto": ledger_pb2,
    "mixer/quota/v1/quota.proto": quota_pb2,
}


def _without_json_names(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    """Only the compiler itself tells them; they follow from the names."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _without_json_names(message.nested_type)


def test_every_text_has_its_module() -> None:
    """No text is left out here."""
    assert {str(path.relative_to(_PROTO)) for path in _PROTO.rglob("*.proto")} == set(_MODULES)


@pytest.mark.parametrize("file", _MODULES)
def test_the_module_is_generated_from_the_text(file: str, tmp_path: Path) -> None:
    """To compile the text gives the descriptor that the module has."""
    compiled = tmp_path / "descriptors"
    shared = [files("grpc_tools") / "_proto", Path(status_pb2.__file__).parents[2]]
    includes = [f"-I{folder}" for folder in (_PROTO, *shared)]
    assert protoc.main(["protoc", *includes, f"--descriptor_set_out={compiled}", file]) == 0
    (fresh,) = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    ours = descriptor_pb2.FileDescriptorProto.FromString(_MODULES[file].DESCRIPTOR.serialized_pb)
    _without_json_names(fresh.message_type)
    assert ours.name == file
    assert fresh == ours
