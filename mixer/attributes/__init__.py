"""The typed attributes that every front end fills and every adapter reads."""

from mixer.attributes.bag import AttributeBag, Resolver
from mixer.attributes.caller import CALLER_RESOLVERS, NOBODY, Caller, FindCaller, HasCaller
from mixer.attributes.grpc_status import grpc_status
from mixer.attributes.headers import (
    HeaderChange,
    HeaderMap,
    HeaderSource,
    Pair,
    PairSource,
    SavedHeaders,
    canonical_name,
)
from mixer.attributes.http import HTTP_RESOLVERS
from mixer.attributes.istio import ISTIO_VOCABULARY, Manifest, ValueType, WrongType
from mixer.attributes.istio_names import IstioAttributes
from mixer.attributes.numbers import whole_number
from mixer.attributes.protobuf import message_value, plain_value
from mixer.attributes.rate_limit import RATE_LIMIT_RESOLVERS, Entries, RateLimitSource
from mixer.attributes.values import Duration, Kind, Message, Timestamp, Uint, Value
from mixer.attributes.vocabulary import LEGACY_NAMES, VOCABULARY

__all__ = [
    "CALLER_RESOLVERS",
    "HTTP_RESOLVERS",
    "ISTIO_VOCABULARY",
    "LEGACY_NAMES",
    "NOBODY",
    "RATE_LIMIT_RESOLVERS",
    "VOCABULARY",
    "AttributeBag",
    "Caller",
    "Duration",
    "Entries",
    "FindCaller",
    "HasCaller",
    "HeaderChange",
    "HeaderMap",
    "HeaderSource",
    "IstioAttributes",
    "Kind",
    "Manifest",
    "Message",
    "Pair",
    "PairSource",
    "RateLimitSource",
    "Resolver",
    "SavedHeaders",
    "Timestamp",
    "Uint",
    "Value",
    "ValueType",
    "WrongType",
    "canonical_name",
    "grpc_status",
    "message_value",
    "plain_value",
    "whole_number",
]
