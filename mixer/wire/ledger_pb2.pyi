from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Period(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MONTH: _ClassVar[Period]
    DAY: _ClassVar[Period]
MONTH: Period
DAY: Period

class Entry(_message.Message):
    __slots__ = ("usage", "plan")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    usage: UsageRecord
    plan: Plan
    def __init__(self, usage: _Optional[_Union[UsageRecord, _Mapping]] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class UsageRecord(_message.Message):
    __slots__ = ("idempotency_key", "subject", "plan", "plan_version", "quantities", "time_unix_nano", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PLAN_VERSION_FIELD_NUMBER: _ClassVar[int]
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    subject: str
    plan: str
    plan_version: str
    quantities: _containers.RepeatedCompositeFieldContainer[Quantity]
    time_unix_nano: int
    labels: _containers.ScalarMap[str, str]
    def __init__(self, idempotency_key: _Optional[str] = ..., subject: _Optional[str] = ..., plan: _Optional[str] = ..., plan_version: _Optional[str] = ..., quantities: _Optional[_Iterable[_Union[Quantity, _Mapping]]] = ..., time_unix_nano: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Quantity(_message.Message):
    __slots__ = ("meter", "units")
    METER_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    meter: str
    units: int
    def __init__(self, meter: _Optional[str] = ..., units: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("name", "version", "currency", "period", "rates")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    currency: str
    period: Period
    rates: _containers.RepeatedCompositeFieldContainer[Rate]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., currency: _Optional[str] = ..., period: _Optional[_Union[Period, str]] = ..., rates: _Optional[_Iterable[_Union[Rate, _Mapping]]] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("meter", "included", "per", "tiers", "volume")
    METER_FIELD_NUMBER: _ClassVar[int]
    INCLUDED_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    meter: str
    included: int
    per: int
    tiers: _containers.RepeatedCompositeFieldContainer[Tier]
    volume: bool
    def __init__(self, meter: _Optional[str] = ..., included: _Optional[int] = ..., per: _Optional[int] = ..., tiers: _Optional[_Iterable[_Union[Tier, _Mapping]]] = ..., volume: _Optional[bool] = ...) -> None: ...

class Tier(_message.Message):
    __slots__ = ("up_to", "price_nanos")
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    PRICE_NANOS_FIELD_NUMBER: _ClassVar[int]
    up_to: int
    price_nanos: int
    def __init__(self, up_to: _Optional[int] = ..., price_nanos: _Optional[int] = ...) -> None: ...
