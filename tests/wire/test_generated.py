"""The generated module is what the project's proto text says."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.rpc import status_pb2
from grpc_tools import protoc

from mixer.wire import mixer_v1_pb2 as pb

_PROTO = Path(__file__).parents[2] / "proto"
_FILE = "istio/mixer/v1/mixer.proto"


def _without_json_names(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    """Only the compiler itself tells them; they follow from the names."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _without_json_names(message.nested_type)


def test_the_module_is_generated_from_the_text(tmp_path: Path) -> None:
    """To compile the text gives the descriptor that the module has."""
    compiled = tmp_path / "descriptors"
    shared = [files("grpc_tools") / "_proto", Path(status_pb2.__file__).parents[2]]
    includes = [f"-I{folder}" for folder in (_PROTO, *shared)]
    assert protoc.main(["protoc", *includes, f"--descriptor_set_out={compiled}", _FILE]) == 0
    (fresh,) = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    ours = descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    _without_json_names(fresh.message_type)
    assert ours.name == _FILE
    assert fresh == ours
