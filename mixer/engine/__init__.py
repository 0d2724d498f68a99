"""From a configuration and a request to a decision."""

from mixer.engine.adapter import Adapter
from mixer.engine.adapter_state import AdapterState
from mixer.engine.admission import Admission
from mixer.engine.decision import (
    Decision,
    HeaderOperation,
    Operation,
    QuotaStanding,
    Response,
    Verdict,
)
from mixer.engine.durable import Recorded
from mixer.engine.engine import Engine
from mixer.engine.exchange import Flow, HttpExchange
from mixer.engine.pending import PendingDecision
from mixer.engine.record import Record
from mixer.engine.request import Request
from mixer.engine.sees import Sees
from mixer.engine.tcp import NO_NETWORK_ADAPTER, TcpExchange
from mixer.engine.validity import Validity

__all__ = [
    "NO_NETWORK_ADAPTER",
    "Adapter",
    "AdapterState",
    "Admission",
    "Decision",
    "Engine",
    "Flow",
    "HeaderOperation",
    "HttpExchange",
    "Operation",
    "PendingDecision",
    "QuotaStanding",
    "Record",
    "Recorded",
    "Request",
    "Response",
    "Sees",
    "TcpExchange",
    "Validity",
    "Verdict",
]
