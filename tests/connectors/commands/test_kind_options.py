"""Every setting of a kind that brings its own is described, and stands on its page."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from connectors.files import folder, sftp
from connectors.remote import webhook
from connectors.telling.notice import NoticeSettings
from tests.cli.programs import ROOT


@pytest.mark.parametrize(
    ("model", "page"),
    [
        (folder.Options, "connect-sftp.md"),
        (sftp.Options, "connect-sftp.md"),
        (webhook.Options, "connect-webhook.md"),
        (NoticeSettings, "connect-email.md"),
    ],
    ids=["folder", "sftp", "webhook", "notice"],
)
def test_every_setting_is_on_its_page(model: type[BaseModel], page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    for name, info in model.model_fields.items():
        assert info.description, f"{name} says nothing of itself"
        assert f"`{name}`" in text, f"{name} is not in docs/{page}"
