from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRequest(_message.Message):
    __slots__ = ("check_request", "id")
    CHECK_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    check_request: bytes
    id: str
    def __init__(self, check_request: _Optional[bytes] = ..., id: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decisions", "check_response", "not_run")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CHECK_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    NOT_RUN_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedScalarFieldContainer[str]
    check_response: bytes
    not_run: _containers.RepeatedCompositeFieldContainer[NotRun]
    def __init__(self, decisions: _Optional[_Iterable[str]] = ..., check_response: _Optional[bytes] = ..., not_run: _Optional[_Iterable[_Union[NotRun, _Mapping]]] = ...) -> None: ...

class NotRun(_message.Message):
    __slots__ = ("adapter", "reason")
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    adapter: str
    reason: str
    def __init__(self, adapter: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
