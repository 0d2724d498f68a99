"""What the decision point tells of itself."""

import json
import re

from mixer.api.authzen.errors import MalformedError
from mixer.api.http import HttpAnswer, HttpCall

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
WELL_KNOWN = "/.well-known/authzen-configuration"

_HOST = re.compile(rb"[A-Za-z0-9\-._~]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


def metadata(call: HttpCall) -> HttpAnswer:
    """The metadata for the host that was asked for: callers compare it with what they know.

    Raises:
        MalformedError: The call has no host.
    """
    hosts = call.all(b"host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise MalformedError("the host must be a name or an address, with or without a port")
    point = f"https://{hosts[0].decode()}"
    told = {
        "policy_decision_point": point,
        "access_evaluation_endpoint": f"{point}{EVALUATION}",
        "access_evaluations_endpoint": f"{point}{EVALUATIONS}",
    }
    return HttpAnswer(200, ((b"content-type", b"application/json"),), json.dumps(told).encode())
