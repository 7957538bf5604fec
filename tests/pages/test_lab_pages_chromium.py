"""Signing in, submitting by the form and watching the lists, in the real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.slow

JOB = """\
job_name: by the form
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 2}, connection: {minutes: 1}}
actions:
- boot: {method: qemu, prompts: ["#"]}
"""
PAGES = ("/", "/scheduler/alljobs", "/scheduler/alldevices", "/scheduler/device/broken", "/scheduler/jobsubmit", "/me/")


def test_a_user_signs_in_submits_by_the_form_and_finds_the_job_in_the_list(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/scheduler/jobsubmit")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("Name").fill("owner")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()

    expect(page).to_have_url(f"{site.url}/scheduler/jobsubmit")
    page.get_by_label("Job definition").fill(JOB)
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page).to_have_url(re.compile(r"/scheduler/job/\d+$"))
    job = page.url.rpartition("/")[2]
    assert site.do("show", job=int(job)) == {"state": "Submitted", "health": "Unknown", "submitter": "owner"}

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Jobs").click()
    row = page.get_by_role("row").filter(has_text="by the form")
    expect(row.get_by_role("link", name=job, exact=True)).to_be_visible()
    expect(row).to_contain_text("Submitted")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    context.close()


def test_faults_are_shown_while_one_types_and_lead_to_their_place(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/scheduler/jobsubmit")
    findings = page.locator("#findings")
    editor = page.get_by_label("Job definition")
    editor.fill(JOB.replace("device_type: qemu", "device_type: qmeu"))
    expect(findings).to_contain_text("'qmeu' is unavailable")
    expect(page.locator(".gutter .wrong")).to_have_text("2\n")
    expect(page.locator(".gutter .wrong")).to_have_attribute("title", "device type 'qmeu' is unavailable")
    findings.get_by_role("link").click()
    expect(editor).to_be_focused()
    assert editor.evaluate("area => area.value.slice(0, area.selectionStart).split('\\n').length") == 2
    editor.fill(JOB)
    expect(findings).to_contain_text("by the form would be accepted")
    expect(page.locator(".gutter .wrong")).to_have_count(0)
    editor.fill(JOB.replace("method: qemu", "method: qemu, colour: <b>red</b>"))
    expect(page.locator(".gutter .doubtful")).to_have_text("6\n")
    assert findings.locator("b").count() == 0


def test_a_list_keeps_up_with_the_lab(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/scheduler/alljobs")
    site.do("submit", user="owner", text=JOB.replace("by the form", "came later"))
    row = page.get_by_role("row").filter(has_text="came later")
    expect(row).to_contain_text("Submitted", timeout=15_000)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(site: Site, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for address in PAGES:
        page.goto(site.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
