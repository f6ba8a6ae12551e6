"""`blogtwin serve`: the page and the API."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options

if TYPE_CHECKING:
    from blogtwin.config import Settings

Port = Annotated[int | None, options.setting("server", "port", "--port")]
Host = Annotated[str | None, options.setting("server", "host", "--host")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(serve)


def serve(
    port: Port = None,
    host: Host = None,
    model: options.Twin = None,
    runtime: options.Runtime = None,
    ollama_base_url: options.OllamaUrl = None,
    url: options.EndpointUrl = None,
    config: options.Config = None,
) -> None:
    """Open the place to write with the twin: a page for the browser, and an API, until Ctrl-C."""
    from dataclasses import replace
    from secrets import token_urlsafe

    from blogtwin.config import load_settings
    from blogtwin.server.app import create_app
    from blogtwin.server.listening import address, bind, run
    from blogtwin.server.security import on_loopback
    from blogtwin.workspace import Workspace

    deployment = options.served(model, runtime, url, ollama_base_url)
    settings = load_settings(config, {"deployment": deployment, "server": {"host": host, "port": port}})
    made = ""
    if not on_loopback(settings.server.host) and not settings.server.token:
        made = token_urlsafe(24)
        settings = replace(settings, server=replace(settings.server, token=made))
    with bind(settings.server.host, settings.server.port) as listening:
        app = create_app(settings, Workspace.here(settings), config=config)
        where = address(settings.server.host, listening)

        def announce() -> None:
            console.say(f"{settings.deployment.model_name} writes at {where}{f'/?token={made}' if made else ''}")
            if lacking := _lacking(settings):
                console.remark(lacking)
            if settings.server.token and not made:
                console.remark("browsers open it with ?token= and the token of the settings; other clients send it")
            console.remark("stop with Ctrl-C; the API is described at /docs")

        with suppress(KeyboardInterrupt):  # the way to end it
            run(app, listening, announce)


def _lacking(settings: Settings) -> str:
    """What to do where there is no such twin yet: a server may be started before its twin is made."""
    from blogtwin.workspace import deployments

    name = settings.deployment.model_name
    there = sorted(one.name for one in deployments())
    if settings.deployment.runtime == "openai" or name in there:
        return ""
    remedy = f"serve --model {there[0].partition(':')[0]}" if there else "pipeline --blog-dir ./blogs"
    return f"nothing can be written yet, as no twin of that name has been deployed; try: blogtwin {remedy}"
