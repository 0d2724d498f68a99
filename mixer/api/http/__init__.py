"""What an HTTP listener hands to the protocols that it speaks, and what they give back.

Without I/O: `HttpCall` in, `HttpAnswer` out, and questions to the engine in between.
"""

from mixer.api.http.answer import HttpAnswer, plain
from mixer.api.http.call import HttpCall
from mixer.api.http.endpoint import Asking, Endpoint, at_once

__all__ = ["Asking", "Endpoint", "HttpAnswer", "HttpCall", "at_once", "plain"]
