"""The paths of the API."""

import re
from typing import Any

from mixer.api.authzen.answers import Told, as_json, refused, told_decision, told_error
from mixer.api.authzen.batch import Batch, read_batch, read_evaluation
from mixer.api.authzen.errors import MalformedError
from mixer.api.authzen.evaluation import Evaluation
from mixer.api.authzen.metadata import EVALUATION, EVALUATIONS, WELL_KNOWN, metadata
from mixer.api.authzen.request import request_of
from mixer.api.authzen.strict_json import read_object
from mixer.api.http import Asking, Endpoint, HttpAnswer, HttpCall, at_once

_JSON = re.compile(rb"\s*application/json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)


def evaluation(call: HttpCall) -> Asking:
    """Answer an Access Evaluation request."""
    try:
        return (yield from _single(call, read_evaluation(_body(call))))
    except MalformedError as error:
        return refused(call, error)


def evaluations(call: HttpCall) -> Asking:
    """Answer an Access Evaluations request."""
    try:
        asked = read_batch(_body(call))
        if isinstance(asked, Evaluation):
            return (yield from _single(call, asked))
    except MalformedError as error:
        return refused(call, error)
    return (yield from _each(call, asked))


def _single(call: HttpCall, asked: Evaluation) -> Asking:
    decision = yield request_of(asked, call.caller)
    return as_json(call, told_decision(decision))


def _each(call: HttpCall, batch: Batch) -> Asking:
    told: list[Told] = []
    for item in batch.items:
        try:
            if isinstance(item, MalformedError):
                raise item
            decision = yield request_of(item, call.caller)
            told.append(told_decision(decision))
        except MalformedError as error:
            told.append(told_error(error))
        if batch.semantic.ends_with(told[-1]["decision"]):
            break
    return as_json(call, {"evaluations": told})


def _body(call: HttpCall) -> dict[str, Any]:
    kinds = call.all(b"content-type")
    if len(kinds) != 1 or not _JSON.fullmatch(kinds[0]):
        raise MalformedError("the content-type must be application/json")
    return read_object(call.body)


def _metadata(call: HttpCall) -> HttpAnswer:
    try:
        return metadata(call)
    except MalformedError as error:
        return refused(call, error)


_POST, _GET = frozenset({"POST"}), frozenset({"GET"})

ENDPOINTS = (
    Endpoint(EVALUATION, evaluation, _POST),
    Endpoint(EVALUATIONS, evaluations, _POST),
    Endpoint(WELL_KNOWN, at_once(_metadata), _GET),
)
"""Each, and what is spoken there."""
