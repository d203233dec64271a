"""Overview: how the hub is now, at one glance."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from hub.console.desk import Console


def overview_pages(console: Console) -> APIRouter:
    """The first page."""
    pages = APIRouter()

    @pages.get("/")
    def overview(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "overview")
        return console.page(request, "overview", head=console.exchange.log.head)

    return pages
