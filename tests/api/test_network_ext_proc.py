"""The messages of Envoy's external processing of TCP."""

from typing import Any

import pytest
from envoy.service.network_ext_proc.v3 import network_external_processor_pb2 as pb2
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.api import network_ext_proc
from mixer.api.network_ext_proc import CLOSE, MalformedMessageError, Session
from mixer.api.network_ext_proc.messages import Piece, decode
from mixer.attributes import AttributeBag, Caller
from mixer.engine import TcpExchange, Verdict
from mixer.engine.verdict_counts import VerdictCounts
from mixer.proxywasm.property_codec import look_up

MAX_HELD = 1000


def connect(attributes: AttributeBag) -> TcpExchange:
    """A connection that no adapter is for: everything comes through."""
    return TcpExchange([], attributes, VerdictCounts(), MAX_HELD)


def session(**call: str) -> Session:
    named = {name.replace("__", "."): value for name, value in call.items()}
    return Session(connect, named, lambda: Caller("10.0.0.9"))


def message(data: bytes, *, up: bool = False, ends: bool = False) -> bytes:
    piece = pb2.Data(data=data, end_of_stream=ends)
    request = pb2.ProcessingRequest(**{"write_data" if up else "read_data": piece})
    return request.SerializeToString()


def read(answers: list[bytes]) -> list[Any]:
    return [pb2.ProcessingResponse.FromString(one) for one in answers]


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_each_piece_has_one_answer_in_its_direction(up: bool, ends: bool) -> None:
    """The proxy waits for one; it tells what to pass on, the end too."""
    [answer] = read(session().receive(message(b"data", up=up, ends=ends)))
    assert answer.HasField("write_data") == up != answer.HasField("read_data")
    data = answer.write_data if up else answer.read_data
    assert (data.data, data.end_of_stream) == (b"data", ends)
    assert answer.data_processing_status == pb2.ProcessingResponse.UNMODIFIED
    assert answer.connection_status == pb2.ProcessingResponse.CONTINUE


def test_an_empty_piece_has_an_answer() -> None:
    """It is told by the presence of the field alone."""
    one = session()
    [answer] = read(one.receive(message(b"")))
    assert answer.HasField("read_data")
    [answer] = read(one.receive(message(b"", ends=True)))
    assert answer.read_data.end_of_stream


def test_the_decision_is_told_once() -> None:
    """The first answer's metadata tells that the connection is accepted, and who ran."""
    one = session()
    [first] = read(one.receive(message(b"a")))
    said = first.dynamic_metadata["envoy.filters.network.ext_proc"]
    assert dict(said.items()) == {"verdict": "allow", "adapter": "", "reason": "", "adapters": []}
    [second] = read(one.receive(message(b"b")))
    assert not second.HasField("dynamic_metadata")


def test_a_closed_connection() -> None:
    """The reason comes in an answer of its own, before the order to close, which stands alone."""
    one = session()
    one.receive(message(b"a"))
    one.exchange.give_up("too_slow")
    reason, order = one.receive(message(b"b", up=True))
    [told] = read([reason])
    assert told.HasField("write_data")
    assert told.write_data.data == b""
    said = told.dynamic_metadata["envoy.filters.network.ext_proc"]
    assert (said["verdict"], said["reason"]) == ("error", "too_slow")
    assert order == CLOSE
    assert read([order])[0].connection_status == pb2.ProcessingResponse.CLOSE
    assert one.closed
    assert one.changes() == []
    assert one.close().verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff", "not a ProcessingRequest"),
        (b"", "one of read_data and write_data"),
        (
            pb2.ProcessingRequest(read_data=pb2.Data(), write_data=pb2.Data()).SerializeToString(),
            "one of read_data and write_data",
        ),
    ],
)
def test_malformed_messages(data: bytes, text: str) -> None:
    """What is no piece of one direction is refused, and nothing comes through."""
    one = session()
    with pytest.raises(MalformedMessageError, match=text):
        one.receive(data)
    assert not one.begun


@pytest.mark.parametrize("up", [False, True])
def test_data_after_the_end(up: bool) -> None:
    """A direction that has ended takes nothing more; the other one does."""
    one = session()
    one.receive(message(b"", up=up, ends=True))
    assert len(one.receive(message(b"", up=not up))) == 1
    with pytest.raises(MalformedMessageError, match="after the end"):
        one.receive(message(b"x", up=up))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_are_read_or_refused(messages: list[bytes]) -> None:
    """Nothing but a refusal is raised, and each piece has its answer."""
    one = session()
    for data in messages:
        try:
            answers = one.receive(data)
        except MalformedMessageError:
            break
        assert len(answers) == 1
    one.close()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_piece_or_malformed(data: bytes) -> None:
    """A message is of one direction, or it is none."""
    try:
        piece = decode(data)
    except MalformedMessageError:
        return
    assert isinstance(piece, Piece)


CALL = {
    "source.address": "10.0.0.1:4711",
    "destination.address": "[2001:db8::1]:5432",
    "connection.requested_server_name": "db.example.com",
    "connection.uri_san_peer_certificate": "spiffe://cluster.local/ns/a/sa/b",
    "connection.tls_version": "TLSv1.3",
    "connection.id": "7",
    "xds.filter_chain_name": "postgres",
    "x-forwarded-for": "192.0.2.1",
    "mixer.caller": "forged",
    "request.path": "/forged",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source.address", "10.0.0.1:4711"),
        ("source.port", 4711),
        ("destination.port", 5432),
        ("connection.requested_server_name", "db.example.com"),
        ("connection.mtls", True),
        ("connection.tls_version", "TLSv1.3"),
        ("connection.id", 7),
        ("xds.filter_chain_name", "postgres"),
        ("mixer.caller", "10.0.0.9"),
        ("request.path", None),
        ("source.principal", None),
        ("metadata", None),
    ],
)
def test_what_the_call_says_is_an_attribute(name: str, value: object) -> None:
    """The initial metadata tells attributes by name; of who calls and of requests it cannot."""
    one = Session(connect, CALL, lambda: Caller("10.0.0.9"))
    assert one.attributes.get(name) == value


@pytest.mark.parametrize("name", ["source.port", "connection.id"])
def test_what_is_no_number(name: str) -> None:
    """Text that is not of its attribute's type is absent."""
    one = Session(connect, {"source.address": "/run/x.sock", name: "x"})
    assert one.attributes.get(name) is None


def test_plain_text_connections() -> None:
    """Without a certificate it is no mTLS, and there is no server name, as in Envoy."""
    one = session()
    assert one.attributes.get("connection.mtls") is False
    assert one.attributes.get("connection.requested_server_name") == ""
    assert session(connection__mtls="true").attributes.get("connection.mtls") is True


def test_metadata() -> None:
    """What other filters left in the connection's metadata is an attribute, as told last."""
    one = session()
    for user in ("alice", "bob"):
        request = pb2.ProcessingRequest(read_data=pb2.Data())
        fields = Struct()
        fields.update({"user": user})
        request.metadata.filter_metadata["own"].CopyFrom(fields)
        one.receive(request.SerializeToString())
        path = ["metadata", "filter_metadata", "own", "user"]
        assert look_up(one.attributes.get, path) == user
    one.receive(message(b""))
    assert one.attributes.get("metadata") is not None


def test_the_names_of_the_service() -> None:
    """The method is the one that Envoy calls."""
    [service] = pb2.DESCRIPTOR.services_by_name.values()
    assert (service.full_name, [m.name for m in service.methods]) == (
        network_ext_proc.SERVICE,
        [network_ext_proc.METHOD],
    )
