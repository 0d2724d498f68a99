"""Envoy's external processing of TCP: envoy.service.network_ext_proc.v3.NetworkExternalProcessor.

One call is one connection: the proxy sends each piece of either direction, and passes on what it
gets back. What the proxy does with an answer, measured on Envoy 1.40:

- each piece waits for one answer in its direction, or the proxy closes the connection after
  ``message_timeout``; an answer may be empty, and more may follow by themselves;
- ``data_processing_status`` says nothing to it: it takes the data that it gets;
- ``connection_status`` comes first: data in the same answer is lost, and so is its metadata;
- a call that ends with OK while the connection lives lets all further data pass unseen, so that
  it never does; one that ends with an error closes the connection, unless the proxy fails open.
"""

from mixer.api.network_ext_proc.messages import CLOSE, MalformedMessageError
from mixer.api.network_ext_proc.session import Session

SERVICE = "envoy.service.network_ext_proc.v3.NetworkExternalProcessor"
METHOD = "Process"

__all__ = ["CLOSE", "METHOD", "SERVICE", "MalformedMessageError", "Session"]
