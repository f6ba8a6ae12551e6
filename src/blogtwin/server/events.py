"""Server-sent events. In: names and values. Out: the bytes of a stream that ends when nobody listens any more.

HTML Living Standard, section 9.2.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

# How the schema of the API tells of a stream: what each event is, as OpenAPI 3.2 has it.
CONTENT: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {
                "event": {"type": "string"},
                "data": {"type": "string", "contentMediaType": "application/json"},
            },
            "required": ["data"],
        }
    }
}


def event(name: str, values: Mapping[str, object]) -> bytes:
    """One event; JSON has no line ends, so its data is one line."""
    return f"event: {name}\ndata: {json.dumps(values, ensure_ascii=False)}\n\n".encode()


class Events(StreamingResponse):
    """A stream of events. When the client goes, the iterator is cancelled at once, not when the next event is sent."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], status_code: int = 200) -> None:
        super().__init__(events, status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(self._until_it_leaves, receive, group.cancel_scope))
            await self.stream_response(send)
            group.cancel_scope.cancel()

    async def _until_it_leaves(self, receive: Receive, scope: anyio.CancelScope) -> None:
        await self.listen_for_disconnect(receive)
        scope.cancel()
