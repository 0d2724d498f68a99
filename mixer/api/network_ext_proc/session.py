"""One connection: messages in, messages out."""

from collections.abc import Callable, Mapping

from mixer.api.network_ext_proc.attributes import RESOLVERS, ConnectionSource
from mixer.api.network_ext_proc.messages import (
    CLOSE,
    MalformedMessageError,
    Piece,
    decode,
    encode,
)
from mixer.attributes import NOBODY, AttributeBag, FindCaller
from mixer.engine import Decision, TcpExchange
from mixer.proxywasm import Peer, TcpLifecycleError

Connect = Callable[[AttributeBag], TcpExchange]


class Session:
    """A call, from its first message to its end; without I/O.

    Args:
        connect: Begins the connection.
        call: The initial metadata of the call; see `mixer.api.network_ext_proc.attributes`.
        caller: Tells who calls.

    Attributes:
        attributes: What is known of the connection.
        exchange: The connection.
        begun: Whether the adapters know of it: the proxy tells of it with its first piece.
        closed: Whether the proxy was told to close it.
    """

    def __init__(
        self, connect: Connect, call: Mapping[str, str], caller: FindCaller = lambda: NOBODY
    ) -> None:
        self._source = ConnectionSource(call, caller)
        self.attributes = AttributeBag(RESOLVERS, self._source)
        self.exchange = connect(self.attributes)
        self.begun = self.closed = False
        self._said: Decision | None = None
        self._told_end = {False: False, True: False}
        self._last_end = False

    @property
    def waits(self) -> bool:
        """Whether an adapter holds the connection from its start."""
        exchange = self.exchange
        return self.begun and not exchange.accepted and exchange.answer is None

    def receive(self, message: bytes) -> list[bytes]:
        """Take in a message.

        Returns:
            The answers, in order.

        Raises:
            MalformedMessageError: It is none that may come now; the connection must be closed.
        """
        piece = decode(message)
        if piece.metadata is not None:
            self._source.metadata = piece.metadata
        if not self.begun:
            self._begin()
        if self.exchange.answer is None:
            self._feed(piece)
        if self.exchange.answer is not None:
            return self.changes(piece.from_upstream)
        # One answer for each message, in its direction, whether anything came through or not.
        answer = self._answer(piece.from_upstream, piece)
        return [answer, *self.changes()]

    def _begin(self) -> None:
        self.begun = True
        if self.exchange.answer is None:
            self.exchange.new_connection()

    def _feed(self, piece: Piece) -> None:
        feed = self.exchange.upstream_data if piece.from_upstream else self.exchange.downstream_data
        try:
            feed(piece.data, end_of_stream=piece.end_of_stream)
        except TcpLifecycleError as error:
            raise MalformedMessageError("data after the end of its direction") from error
        if piece.end_of_stream:
            self._last_end = piece.from_upstream

    def changes(self, from_upstream: bool = False) -> list[bytes]:
        """What is to be sent now, where something changed by itself.

        Args:
            from_upstream: In which direction the proxy is told why it is to close the connection.
        """
        if self.closed:
            return []
        answer = self.exchange.answer
        if answer is None:
            return [self._answer(way) for way in (False, True) if self._has_news(way)]
        self.closed = True
        # What comes with the order to close is lost, the metadata too.
        reason = encode(Piece(b"", from_upstream=from_upstream), modified=True, decision=answer)
        return [reason, CLOSE]

    def _has_news(self, from_upstream: bool) -> bool:
        way = self.exchange.upstream if from_upstream else self.exchange.downstream
        return way.has_passed or way.ended != self._told_end[from_upstream]

    def _answer(self, from_upstream: bool, came: Piece | None = None) -> bytes:
        way = self.exchange.upstream if from_upstream else self.exchange.downstream
        ends = way.ended and not self._told_end[from_upstream]
        self._told_end[from_upstream] = way.ended
        piece = Piece(way.take(), ends, from_upstream)
        modified = came is None or (piece.data, ends) != (came.data, came.end_of_stream)
        return encode(piece, modified=modified, decision=self._news_of_decision())

    def _news_of_decision(self) -> Decision | None:
        """The decision, once the connection is accepted, and where it is another one since."""
        if not self.exchange.accepted or self._said == self.exchange.decision:
            return None
        self._said = self.exchange.decision
        return self._said

    def close(self) -> Decision:
        """The call has ended, and with it the connection; what was decided."""
        both = self.exchange.downstream.ends and self.exchange.upstream.ends
        # As in Envoy, which closes a connection itself once the upstream's end came last.
        return self.exchange.close(Peer.LOCAL if both and self._last_end else Peer.REMOTE)
