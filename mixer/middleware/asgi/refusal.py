"""Refusing what nothing was asked about."""

from mixer.middleware.asgi.reply import HTTP, WEBSOCKET_HTTP, described
from mixer.middleware.asgi.types import Receive, Scope, Send
from mixer.middleware.values import Answer


async def refuse(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    """Answer a request, or close a WebSocket before it opens."""
    kind = HTTP
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        kind = WEBSOCKET_HTTP
        if kind not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close"})
            return
    headers, body = described(answer)
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
