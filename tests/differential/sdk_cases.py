"""What is sent through the modules that were built with SDKs."""

from tests.higress.cases import Case, Expected, Request, Response, Step, refused

_ANSWER = Response((b"answer",), (("content-type", "text/plain"), ("x-extra", "1")))

ASSEMBLYSCRIPT = Case(
    "assemblyscript_sdk",
    "upstream",
    (
        Step(
            Request("/a?b=c", (("x-remove", "1"), ("x-replace", "1"))),
            Expected(
                sent={"x-count": "1", "x-path": "/a", "x-remove": None, "x-replace": "replaced"},
                headers={"x-of": "/a?b=c", "content-length": None},
                body=b"<hello>",
            ),
        ),
        Step(
            Request("/deny"), refused(403, b"<blocked by module>", {"x-module": "assemblyscript"})
        ),
        Step(
            Request("/post", body=b"some text"),
            Expected(sent={"x-count": "2"}, sent_body=b"SOME TEXT", body=b"<onetwo>"),
            Response((b"one", b"two")),
        ),
        Step(
            Request("/trailers", body=b"some text", trailers=(("x-sum", "7"),)),
            Expected(sent={"x-count": "3"}),
        ),
        Step(Request("/ask"), Expected(sent={"x-count": "4", "x-answer": "answer"})),
    ),
    answer=_ANSWER,
    ends="deleted",
    events=frozenset(
        ["tick", *(f"message {path}" for path in ("/a?b=c", "/post", "/trailers", "/ask"))]
    ),
)

CASES = {"assemblyscript": ASSEMBLYSCRIPT}
