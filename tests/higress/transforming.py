"""The transformer, which changes every part of requests and responses."""

from tests.higress.cases import Case, Expected, Request, Response, Step
from tests.higress.messages import answer, post

FORM = (("content-type", "application/x-www-form-urlencoded"),)


_REQUEST_RULES = {
    "reqRules": [
        {
            "operate": "remove",
            "headers": [{"key": "X-remove"}],
            "querys": [{"key": "k1"}],
            "body": [{"key": "a1"}],
        },
        {
            "operate": "rename",
            "headers": [{"oldKey": "X-not-renamed", "newKey": "X-renamed"}],
            "querys": [{"oldKey": "k2", "newKey": "k2-new"}],
            "body": [{"oldKey": "a2", "newKey": "a2-new"}],
        },
        {
            "operate": "replace",
            "headers": [{"key": "X-replace", "newValue": "replaced"}],
            "querys": [{"key": "k2-new", "newValue": "v2-new"}],
            "body": [{"key": "a3", "newValue": "t3-new"}],
        },
        {
            "operate": "add",
            "headers": [
                {"key": "X-add-append", "value": "host-$1", "host_pattern": r"^(.*)\.test$"}
            ],
            "querys": [{"key": "k3", "value": "v31"}],
            "body": [{"key": "a1-new", "value": "t1-new"}],
        },
        {
            "operate": "append",
            "headers": [
                {
                    "key": "X-add-append",
                    "appendValue": "path-$1",
                    "path_pattern": r"^.*?\/(\w+)[\?]{0,1}.*$",
                }
            ],
            "querys": [{"key": "k3", "appendValue": "v32"}],
            "body": [{"key": "a1-new", "appendValue": "t1-append"}],
        },
        {
            "operate": "map",
            "headers": [{"fromKey": "X-add-append", "toKey": "X-map"}],
            "querys": [{"fromKey": "k3", "toKey": "k4"}],
            "body": [{"fromKey": "a3", "toKey": "a4"}],
        },
        {
            "operate": "dedupe",
            "headers": [
                {"key": "X-dedupe-first", "strategy": "RETAIN_FIRST"},
                {"key": "X-dedupe-last", "strategy": "RETAIN_LAST"},
                {"key": "X-dedupe-unique", "strategy": "RETAIN_UNIQUE"},
            ],
            "querys": [{"key": "k4", "strategy": "RETAIN_FIRST"}],
            "body": [{"key": "a5", "strategy": "RETAIN_FIRST"}],
        },
    ]
}
_HEADERS = (
    ("x-remove", "exist"),
    ("x-not-renamed", "test"),
    ("x-replace", "not-replaced"),
    *(("x-dedupe-first", value) for value in "123"),
    *(("x-dedupe-last", value) for value in "abc"),
    *(("x-dedupe-unique", value) for value in "123321"),
)
_CHANGED = {
    "x-remove": None,
    "x-renamed": "test",
    "x-replace": "replaced",
    "x-add-append": ["host-gateway", "path-get"],
    "x-map": ["host-gateway", "path-get"],
    "x-dedupe-first": "1",
    "x-dedupe-last": "c",
    "x-dedupe-unique": ["1", "2", "3"],
}
_CHANGED_PATH = "/get?k2-new=v2-new&k3=v31&k3=v32&k4=v31"
_BODY = {"a1": "t1", "a2": "t2", "a3": "t3", "a5": ["first", "second"]}
_CHANGED_BODY = {
    "a1-new": ["t1-new", "t1-append"],
    "a2-new": "t2",
    "a3": "t3-new",
    "a4": "t3",
    "a5": "first",
}
_RESPONSE_RULES = {
    "respRules": [
        {"operate": "remove", "headers": [{"key": "x-secret"}], "body": [{"key": "secret"}]},
        {"operate": "rename", "headers": [{"oldKey": "x-dup", "newKey": "x-renamed"}]},
        {"operate": "add", "body": [{"key": "foo.bar", "value": "7", "value_type": "number"}]},
    ]
}
_BY_BODY = {
    "reqRules": [
        {
            "operate": "map",
            "mapSource": "body",
            "headers": [
                {"fromKey": "userId", "toKey": "x-user-id"},
                {"fromKey": "friends.1.first", "toKey": "x-first-name"},
            ],
        }
    ]
}
_FRIENDS = {"userId": 12, "friends": [{"first": "Dale"}, {"first": "Roger"}]}

CASES = {
    "transformer request": Case(
        "transformer",
        _REQUEST_RULES,
        (
            Step(
                Request("/get?k1=v11&k1=v12&k2=v2", _HEADERS),
                Expected(path=_CHANGED_PATH, sent=_CHANGED),
            ),
            Step(
                post("/get?k1=v1&k2=v2", _BODY, *_HEADERS),
                Expected(
                    path=_CHANGED_PATH,
                    sent={**_CHANGED, "content-length": None},
                    sent_body=_CHANGED_BODY,
                ),
            ),
        ),
    ),
    "transformer response": Case(
        "transformer",
        _RESPONSE_RULES,
        (
            Step(
                Request("/get"),
                Expected(
                    headers={"x-secret": None, "x-renamed": ["a", "b"], "content-length": None},
                    body={"n": 1, "foo": {"bar": 7}},
                ),
                answer({"n": 1, "secret": 2}, ("x-secret", "s"), ("x-dup", "a"), ("x-dup", "b")),
            ),
            Step(
                Request("/text"),
                Expected(headers={"x-renamed": "a"}, body=b"hello"),
                Response(headers=(("content-type", "text/plain"), ("x-dup", "a"))),
            ),
        ),
    ),
    "transformer route by body": Case(
        "transformer",
        _BY_BODY,
        (
            Step(
                post("/", _FRIENDS),
                Expected(sent={"x-user-id": "12", "x-first-name": "Roger"}, sent_body=_FRIENDS),
            ),
            Step(
                Request("/", FORM, b"userId=12&userName=al"),
                Expected(sent={"x-user-id": "12"}, sent_body=b"userId=12&userName=al"),
            ),
        ),
    ),
}
