"""The typed attributes that every front end fills and every adapter reads."""

from mixer.attributes.bag import AttributeBag, Resolver
from mixer.attributes.headers import (
    HeaderChange,
    HeaderMap,
    HeaderSource,
    Pair,
    PairSource,
    SavedHeaders,
)
from mixer.attributes.http import HTTP_RESOLVERS
from mixer.attributes.protobuf import message_value, plain_value
from mixer.attributes.values import Duration, Kind, Message, Timestamp, Uint, Value
from mixer.attributes.vocabulary import LEGACY_NAMES, VOCABULARY

__all__ = [
    "HTTP_RESOLVERS",
    "LEGACY_NAMES",
    "VOCABULARY",
    "AttributeBag",
    "Duration",
    "HeaderChange",
    "HeaderMap",
    "HeaderSource",
    "Kind",
    "Message",
    "Pair",
    "PairSource",
    "Resolver",
    "SavedHeaders",
    "Timestamp",
    "Uint",
    "Value",
    "message_value",
    "plain_value",
]
