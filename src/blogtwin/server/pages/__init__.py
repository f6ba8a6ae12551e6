"""What a browser shows: three pages, their style sheets and their modules. Everything they know they ask the API for."""

from blogtwin.server.pages.router import router

__all__ = ["router"]
