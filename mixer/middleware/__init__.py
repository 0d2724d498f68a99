"""In front of an application in Python: requests are decided about before it gets them.

`mixer.middleware.asgi` is for applications of ASGI, `mixer.middleware.grpc_aio` for services of
gRPC. Both take a decider: `ServiceDecider` asks a central service, and `mixer.embedded` has one
that runs the adapters in this process.
"""

from mixer.middleware.ports import Decider, Exchange, Flow, Running, UntellableError
from mixer.middleware.service import ServiceDecider
from mixer.middleware.values import Answer, Ended, Incoming, Peer, Workload

__all__ = [
    "Answer",
    "Decider",
    "Ended",
    "Exchange",
    "Flow",
    "Incoming",
    "Peer",
    "Running",
    "ServiceDecider",
    "UntellableError",
    "Workload",
]
