"""The form in a real browser: by keyboard alone, without a script, in English and French."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Shot, chromium, shot
from tests.form.conftest import Office
from tests.form.test_pages import case_of

pytestmark = pytest.mark.browser
__all__ = ["chromium", "shot"]

# What a screen reader is told of each control: a name, and where it is wrong, what is wrong.
NAMELESS = """() => [...document.querySelectorAll('input,select,textarea,button')]
  .filter(one => one.type !== 'hidden')
  .filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))
  .map(one => one.name)"""
UNEXPLAINED = """() => [...document.querySelectorAll('[aria-describedby]')]
  .flatMap(one => one.getAttribute('aria-describedby').split(' '))
  .filter(id => !document.getElementById(id))"""

# Controls that reach out of their field, and links to choose that are lower than a finger is wide.
OVER = """() => [...document.querySelectorAll('.field')].flatMap(field =>
  [...field.querySelectorAll('input,select,textarea')].filter(one =>
    one.getBoundingClientRect().right > field.getBoundingClientRect().right + 1)).map(o => o.id)"""
LOW = """() => [...document.querySelectorAll('.languages a')]
  .filter(one => one.getBoundingClientRect().height < 24).map(one => one.textContent)"""


def opened(browser: Browser, office: Office, path: str, **options: object) -> Page:
    context = browser.new_context(java_script_enabled=True, **options)  # type: ignore[arg-type]
    page = context.new_page()
    failed: list[str] = []
    page.on("requestfailed", lambda one: failed.append(one.url))
    page.on("console", lambda one: failed.append(one.text) if one.type == "error" else None)
    page.goto(office.base + path)
    assert failed == []
    return page


def test_from_choosing_to_recorded(chromium: Browser, office: Office, shot: Shot) -> None:
    page = opened(chromium, office, "/?lang=en", viewport={"width": 1280, "height": 900})
    shot(page, "form-choose")
    assert page.evaluate(NAMELESS) == []
    with page.expect_navigation():
        page.get_by_role("link", name="Case opened").click()
    shot(page, "form-fill")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(UNEXPLAINED) == []
    with page.expect_navigation():
        page.get_by_role("button", name="See who would receive what").click()
    shot(page, "form-wrong")
    assert page.evaluate("document.activeElement.id") == "wrong"
    assert page.evaluate(UNEXPLAINED) == []
    page.get_by_role("link", name="Case", exact=True).click()
    page.keyboard.press("Tab")
    case = case_of()
    page.locator("[id='e.case']").fill(case)
    page.get_by_label("Jurisdiction").fill("XX")
    page.get_by_label("Channel").select_option("outreach")
    page.get_by_label("Age status").select_option("adult")
    with page.expect_navigation():
        page.get_by_role("button", name="See who would receive what").click()
    shot(page, "form-preview")
    before = len(office.recorded())
    page.get_by_role("button", name="Sign as NGO-1 and send").click()
    page.get_by_role("status").wait_for()
    shot(page, "form-sent")
    assert len(office.recorded()) == before + 1
    assert case not in page.content()
    assert page.context.cookies() == []
    page.context.close()


def test_a_consent_in_french_with_its_preview(
    chromium: Browser, office: Office, shot: Shot
) -> None:
    case = case_of()
    page = opened(chromium, office, "/fill?type=CaseOpened&lang=fr", locale="fr-FR")
    page.locator("[id='e.case']").fill(case)
    page.locator("[id='f.jurisdiction']").fill("XX")
    page.get_by_label("Voie").select_option("helpline")
    page.get_by_label("Statut d’âge").select_option("adult")
    with page.expect_navigation():
        page.get_by_role("button", name="Voir qui recevrait quoi").press("Enter")
    page.get_by_role("button", name="Signer au nom de NGO-1 et envoyer").press("Enter")
    page.get_by_role("link", name="Autre événement").click()
    page.get_by_role("link", name="Consentement donné").click()
    page.locator("[id='e.case']").fill(case)
    page.get_by_label("Référence du consentement").fill("c1")
    page.get_by_label("Donné par").select_option("self")
    page.get_by_label("assistance").check()
    page.locator("[id='f.scope.0.agency']").fill("SH-1")
    page.locator("fieldset.scope").first.get_by_label("coordonnées").check()
    page.get_by_label("Couvre ce qui précède").select_option("yes")
    page.get_by_label("Valable jusqu’au").fill("2099-01-01")
    page.get_by_label("Méthode").select_option("written")
    page.get_by_label("Version de la notice").fill("n1")
    page.get_by_label("Comment le retirer").fill("tout organisme")
    shot(page, "form-consent-fr")
    page.get_by_role("button", name="Voir qui recevrait quoi").click()
    page.get_by_role("heading", name="Qui recevrait quoi, et pourquoi").wait_for()
    assert page.get_by_text("la personne elle-même").count() == 1
    page.get_by_role("button", name="Signer au nom de NGO-1 et envoyer").click()
    page.get_by_role("link", name="Autre événement").click()
    page.get_by_role("link", name="Orientation faite").click()
    page.locator("[id='e.case']").fill(case)
    page.get_by_label("Référence de l’orientation").fill("r1")
    page.get_by_label("Organisme destinataire").fill("SH-1")
    page.locator("[id='f.services'] input[type=checkbox]").first.check()
    page.get_by_label("Urgence").select_option("3_hours")
    page.get_by_label("Répondre avant le").fill("2099-01-01T12:00")
    page.get_by_label("Fondement").fill("c1")
    page.get_by_role("button", name="Voir qui recevrait quoi").click()
    page.get_by_role("button", name="Signer au nom de NGO-1 et envoyer").click()
    page.get_by_role("status").wait_for()
    office.shelter_accepts(case)
    page.get_by_role("link", name="Autre événement").click()
    page.get_by_role("link", name="Moyens de contact consignés").click()
    page.locator("[id='e.case']").fill(case)
    for name in ("Appel sans danger", "Courriel sans danger", "Courrier sans danger"):
        page.get_by_label(name).select_option("no")
    page.get_by_label("Interprète nécessaire").select_option("no")
    page.locator("[id='f.language']").fill("fr")
    page.get_by_role("button", name="Voir qui recevrait quoi").click()
    page.get_by_role("rowheader", name="SH-1").wait_for()
    shot(page, "form-contact-preview-fr")
    assert page.evaluate(NAMELESS) == []
    page.context.close()


def test_on_a_telephone_and_in_the_dark(chromium: Browser, office: Office, shot: Shot) -> None:
    page = opened(
        chromium, office, "/fill?type=IdentityRecorded&lang=fr",
        viewport={"width": 320, "height": 640}, color_scheme="dark",
    )  # fmt: skip
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    shot(page, "form-phone-dark")
    assert wide <= 0
    assert page.evaluate(OVER) == []
    assert page.evaluate(LOW) == []
    page.context.close()


def test_a_page_of_another_site_cannot_send_the_form(chromium: Browser, office: Office) -> None:
    before = len(office.recorded())
    page = chromium.new_context().new_page()
    page.route(
        "http://evil.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{office.base}/send"><input name="e.type" '
            'value="CaseOpened"><button>go</button></form>',
        ),
    )
    page.goto("http://evil.example/")
    with page.expect_navigation():
        page.get_by_role("button").click()
    assert len(office.recorded()) == before
    page.context.close()
