"""An address that the service answers on."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from mixer.config.address import check_address
from mixer.config.http_listener import HttpSettings
from mixer.config.listener_tls import CallerPattern, ListenerTls, some_callers
from mixer.config.model import Choice, DnsLabel, Items, Model


class Protocol(StrEnum):
    """What a listener speaks."""

    GRPC = "GRPC"
    HTTP = "HTTP"


def _permissions(value: object) -> object:
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('must be octal digits in quotes, such as "0660"')


class Listener(Model):
    """One address that the service answers on.

    Attributes:
        name: DNS label, unique among the listeners; for logs and metrics.
        address: ``host:port``, ``[IPv6]:port`` or ``unix:/absolute/path``; port 0 is any free one.
            Whoever reaches the address may ask for decisions: it is loopback unless configured.
        protocol: ``GRPC`` for Envoy and Mixer's clients, ``HTTP`` for what asks in plain HTTP/1.1.
        mode: Permissions of a Unix socket; octal digits such as ``"0660"`` in YAML. To connect,
            a process needs to be allowed to write. None leaves them to the umask.
        tls: None for plaintext.
        callers: Who may ask, of all that have a certificate from an authority of
            ``tls.client_ca_file``: SPIFFE IDs, ``spiffe://domain/path/*`` for all that are below,
            and DNS names. None lets all of them.
        http: Settings of ``HTTP``.
    """

    name: DnsLabel
    address: Annotated[str, AfterValidator(check_address)]
    protocol: Choice[Protocol] = Protocol.GRPC
    mode: Annotated[int | None, BeforeValidator(_permissions)] = None
    tls: ListenerTls | None = None
    callers: Annotated[Items[CallerPattern] | None, AfterValidator(some_callers)] = None
    http: HttpSettings | None = None

    @field_validator("mode")
    @classmethod
    def _of_a_socket(cls, mode: int | None, info: ValidationInfo) -> int | None:
        if mode is not None and not str(info.data.get("address", "unix:")).startswith("unix:"):
            raise ValueError("only a unix: address has permissions")
        return mode

    @field_validator("http")
    @classmethod
    def _of_its_protocol(
        cls, http: HttpSettings | None, info: ValidationInfo
    ) -> HttpSettings | None:
        if http is not None and info.data.get("protocol") is Protocol.GRPC:
            raise ValueError("only a listener with protocol: HTTP has these")
        return http
