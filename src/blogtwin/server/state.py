"""What every request may use, made once by create_app and found at `request.app.state`.

settings     Settings            as they were when the server started
workspace    Workspace           the folder of the twin that the settings name
database     Database            what readers said, versions and jobs
store        Store               feedback and the generations that can still be judged
versions     Versions            which version of a twin has which share
twins        Twins               the twins of this installation, and where each one is kept
topics       Topics              what each author writes about
generation   Asking              asks twins and bases, streams what they say, remembers it
limits       Limits              how many texts a client may still ask for
jobs         Jobs                trainings, queued and running
upkeep       Upkeep              carries out what readers decide, deletes old texts

A route asks for it with `here: Here`. Requests in tests must say `Host: localhost` (base_url="http://localhost").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from fastapi import Depends, Request

if TYPE_CHECKING:
    from blogtwin.config import Settings
    from blogtwin.feedback.database import Database
    from blogtwin.feedback.store import Store
    from blogtwin.feedback.versions import Versions
    from blogtwin.server.generation import Asking
    from blogtwin.server.limits import Limits
    from blogtwin.server.topics import Topics
    from blogtwin.server.twins import Twins
    from blogtwin.server.upkeep import Upkeep
    from blogtwin.workspace import Workspace


class Shared(Protocol):
    """See above."""

    settings: Settings
    workspace: Workspace
    database: Database
    store: Store
    versions: Versions
    twins: Twins
    topics: Topics
    generation: Asking
    limits: Limits
    jobs: Any
    upkeep: Upkeep


def shared(request: Request) -> Shared:
    """What the application holds."""
    return cast(Shared, request.app.state)


Here = Annotated[Shared, Depends(shared)]
