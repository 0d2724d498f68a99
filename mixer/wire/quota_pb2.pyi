from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Algorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIXED_WINDOW: _ClassVar[Algorithm]
    SLIDING_WINDOW: _ClassVar[Algorithm]
    TOKEN_BUCKET: _ClassVar[Algorithm]
FIXED_WINDOW: Algorithm
SLIDING_WINDOW: Algorithm
TOKEN_BUCKET: Algorithm

class Charge(_message.Message):
    __slots__ = ("key", "algorithm", "limit", "window_ns", "burst", "cost", "shadow")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_NS_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    algorithm: Algorithm
    limit: int
    window_ns: int
    burst: int
    cost: int
    shadow: bool
    def __init__(self, key: _Optional[bytes] = ..., algorithm: _Optional[_Union[Algorithm, str]] = ..., limit: _Optional[int] = ..., window_ns: _Optional[int] = ..., burst: _Optional[int] = ..., cost: _Optional[int] = ..., shadow: _Optional[bool] = ...) -> None: ...

class TakeRequest(_message.Message):
    __slots__ = ("charges", "best_effort", "dedup_id", "dedup_window_ns")
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    BEST_EFFORT_FIELD_NUMBER: _ClassVar[int]
    DEDUP_ID_FIELD_NUMBER: _ClassVar[int]
    DEDUP_WINDOW_NS_FIELD_NUMBER: _ClassVar[int]
    charges: _containers.RepeatedCompositeFieldContainer[Charge]
    best_effort: bool
    dedup_id: bytes
    dedup_window_ns: int
    def __init__(self, charges: _Optional[_Iterable[_Union[Charge, _Mapping]]] = ..., best_effort: _Optional[bool] = ..., dedup_id: _Optional[bytes] = ..., dedup_window_ns: _Optional[int] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("granted", "refused", "remaining", "reset_ns", "retry_after_ns")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    RESET_NS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_NS_FIELD_NUMBER: _ClassVar[int]
    granted: int
    refused: bool
    remaining: int
    reset_ns: int
    retry_after_ns: int
    def __init__(self, granted: _Optional[int] = ..., refused: _Optional[bool] = ..., remaining: _Optional[int] = ..., reset_ns: _Optional[int] = ..., retry_after_ns: _Optional[int] = ...) -> None: ...

class TakeResponse(_message.Message):
    __slots__ = ("pending", "standings", "local")
    PENDING_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    pending: int
    standings: _containers.RepeatedCompositeFieldContainer[Standing]
    local: bool
    def __init__(self, pending: _Optional[int] = ..., standings: _Optional[_Iterable[_Union[Standing, _Mapping]]] = ..., local: _Optional[bool] = ...) -> None: ...
