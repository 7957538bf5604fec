"""The page of a job in the real browser, while the job runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.slow

JOB = """\
job_name: {name}
device_type: qemu
visibility: public
timeouts: {{job: {{minutes: 5}}, action: {{minutes: 2}}, connection: {{minutes: 1}}}}
actions:
  - boot: {{method: qemu, prompts: ["#"]}}
"""
DESCRIPTION = """\
pipeline:
- {level: '1', name: boot-image-retry, summary: boot the image, timeout: 120, pipeline: [
    {level: '1.1', name: login-action, summary: log in, timeout: 60},
    {level: '1.2', name: never-reached, summary: never, timeout: 60}]}
"""
ATTACK = '<script>window.attacked = 1</script><img src=x onerror="window.attacked = 1">'


def definition(name: str = "smoke") -> str:
    return JOB.format(name=json.dumps(name))


def record(case: str, result: str, **more: object) -> str:
    """Return a result line as the dispatcher writes it."""
    message = {"definition": "0_smoke", "case": case, "result": result, **more}
    return f"- {json.dumps({'dt': '2026-03-02T09:15:01.25+00:00', 'lvl': 'results', 'msg': message})}\n"


def shown_lines(page: Page) -> list[str]:
    return page.locator("#log .row > span").all_text_contents()


def test_a_running_job_is_followed_from_the_queue_to_its_end(site: Site, page: Page) -> None:
    job = site.do("submit", user="admin", text=definition())
    page.goto(f"{site.url}/scheduler/job/{job}")
    verdict = page.locator("#verdict")
    expect(verdict).to_have_text("Submitted")
    site.do("schedule")
    expect(page.locator("#reason")).to_contain_text("Waiting: ")

    site.do("device", name="first")
    site.do("schedule")
    expect(verdict).to_have_text("Scheduled")
    expect(page.locator("#device a")).to_have_text("first")
    expect(page.locator("#reason")).to_be_hidden()
    site.do("start", job=job)
    expect(verdict).to_have_text("Running")

    expected: list[str] = []
    for batch in range(30):
        lines = [["target", f"batch {batch} line {number}"] for number in range(50)]
        site.do("log", job=job, lines=lines)
        expected += [text for _, text in lines]
        if batch % 10 == 0:
            expect(page.locator("#log .row").last).to_have_text(expected[-1])
    site.do("log", job=job, lines=[["info", "start: 1 boot-image-retry (timeout 00:02:00) [common]"]])
    expect(page.locator("#plan [aria-current=step]")).to_contain_text("boot-image-retry")
    expect(page.locator("#now")).to_contain_text("1 boot-image-retry")
    expect(page.locator("#log .row").last).to_be_in_viewport()
    site.do("raw", job=job, text=record("kernel", "pass") + record("clock", "fail", set="time"))
    expect(page.locator("#totals")).to_have_text("1 pass1 fail")
    job_result = json.dumps({"definition": "lava", "case": "job", "result": "pass"})
    site.do("raw", job=job, text=f'- {{"dt": "2026-03-02T09:15:01+00:00", "lvl": "results", "msg": {job_result}}}\n')
    site.do("end", job=job)

    expect(verdict).to_have_text("Complete")
    expect(page.locator("#tail")).to_have_text("End of the log, 1,504 lines.")
    expect(page.locator("#cancel")).to_have_count(0)
    expect(page.locator("#log .row")).to_have_count(1504)
    assert shown_lines(page)[:1500] == expected
    assert page.title().startswith("✓")


def test_every_line_is_shown_once_when_the_server_is_killed_in_between(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    page.goto(f"{site.url}/scheduler/job/{job}")
    site.do("flood", job=job, count=300)
    expect(page.locator("#log .row").last).to_have_text("flood 299")
    site.kill_web()
    site.do("log", job=job, lines=[["target", "while nobody served"]])
    site.start_web()
    expect(page.locator("#log .row").last).to_have_text("while nobody served", timeout=20_000)
    site.do("end", job=job)
    expect(page.locator("#tail")).to_have_text("End of the log, 301 lines.")
    assert shown_lines(page) == [*(f"flood {number}" for number in range(300)), "while nobody served"]


def test_a_tab_that_nobody_looks_at_gives_its_connection_back(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    before = site.ears()
    page.goto(f"{site.url}/scheduler/job/{job}")
    site.do("log", job=job, lines=[["target", "seen"]])
    expect(page.locator("#log .row")).to_have_text("seen")
    assert site.ears() == before + 1
    look(page, hidden=True)
    site.wait_for(lambda: site.ears() == before, "the stream of a hidden tab to close")
    site.do("log", job=job, lines=[["target", "missed"]])
    look(page, hidden=False)
    expect(page.locator("#log .row")).to_have_count(2)
    assert shown_lines(page) == ["seen", "missed"]


def look(page: Page, *, hidden: bool) -> None:
    """Bring another tab to the front, or this one: what the page is told of it."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_nothing_that_a_job_says_is_code(site: Site, page: Page) -> None:
    job = site.running_job(definition(name=ATTACK))
    site.do("log", job=job, lines=[["target", ATTACK], ["info", f"start: 1 {ATTACK} (timeout 00:02:00)"]])
    site.do("raw", job=job, text=record(ATTACK, "pass", set=ATTACK, units=ATTACK, measurement=1))
    site.do("raw", job=job, text=record("name", ATTACK, definition=ATTACK))
    site.do("raw", job=job, text=f"no line at all {ATTACK}\n")
    site.do("end", job=job)
    for path in ("", "/definition", "/resubmit"):
        page.goto(f"{site.url}/scheduler/job/{job}{path}")
        if not path:
            expect(page.locator("#tail")).to_contain_text("End of the log, 5 lines")
            assert shown_lines(page)[0] == ATTACK
        assert page.evaluate("window.attacked") is None
        assert page.locator("img").count() == 0
    page.goto(f"{site.url}/results/{job}/0_smoke")
    expect(page.locator("table")).to_contain_text(ATTACK)
    assert page.evaluate("window.attacked") is None


def test_a_long_log_keeps_few_rows_and_every_line_can_be_found(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    site.do("flood", job=job, count=60_000)
    site.do("end", job=job)
    page.goto(f"{site.url}/scheduler/job/{job}#L31234")
    expect(page.locator("#tail")).to_have_text("End of the log, 60,000 lines.")
    expect(page.locator("#L31234")).to_be_in_viewport()
    expect(page.locator("#L31234")).to_have_text("flood 31234")
    page.keyboard.press("/")
    page.keyboard.type("FLOOD 5999")
    page.keyboard.press("Enter")
    expect(page.locator("#find output")).to_have_text("1/11")
    expect(page.locator("#L5999")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#find output")).to_have_text("11/11")
    expect(page.locator("#L59999")).to_be_in_viewport()
    assert page.locator("#log .row").count() < 3000


def test_plan_durations_levels_and_failures_of_an_ended_job(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    texts = (
        ("info", 0, "start: 1 boot-image-retry (timeout 00:02:00) [common]"),
        ("debug", 0, "start: 1.1 login-action (timeout 00:01:00) [common]"),
        ("target", 1, "some login:"),
        ("error", 59, "login-action timed out"),
        ("debug", 59, "end: 1.1 login-action (duration 00:00:59) [common]"),
        ("info", 59, "end: 1 boot-image-retry (duration 00:00:59) [common]"),
    )
    for level, second, text in texts:
        line = json.dumps({"dt": f"2026-03-02T09:15:{second:02d}+00:00", "lvl": level, "msg": text})
        site.do("raw", job=job, text=f"- {line}\n")
    site.do("raw", job=job, text=record("login-action", "fail", definition="lava", level="1.1"))
    last = {"error_type": "Infrastructure", "error_msg": "no prompt came"}
    site.do("raw", job=job, text=record("job", "fail", definition="lava", **last))
    site.do("end", job=job, description=DESCRIPTION)
    page.goto(f"{site.url}/scheduler/job/{job}")
    expect(page.locator("#verdict")).to_have_text("Incomplete")
    expect(page.locator("#error")).to_contain_text("Infrastructure error no prompt came")
    expect(page.locator("#first-error")).to_have_attribute("href", "#L3")
    login = page.locator("#plan li[data-level='1.1']")
    expect(login.locator(".spent")).to_have_text("59 s")
    expect(login).to_have_class("near failed")
    expect(page.locator("#plan li[data-level='1.2']")).to_have_class("ahead")
    login.get_by_role("link").click()
    expect(page.locator("#L1")).to_have_class("row l-debug marked")

    page.get_by_text("debug", exact=True).click()
    for _ in range(2):
        expect(page.locator("#L2")).to_be_visible()
        expect(page.locator("#L4")).to_be_hidden()
        # The address names this line: it is shown whatever its level.
        expect(page.locator("#L1")).to_be_visible()
        page.reload()


def test_lines_of_older_writers_are_read(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    site.do("raw", job=job, text="- {dt: 2017-05-04 10:11:12.5, lvl: target, msg: 'it''s \"old\": yes'}\n")
    tagged = '{"case": "boot", "definition": "0_old", "result": "pass", "measurement": !!float "1.5", "units": "s"}'
    site.do("raw", job=job, text=f'- {{"dt": "2017-05-04T10:11:13", "lvl": "results", "msg": {tagged}}}\n')
    site.do("raw", job=job, text='- {"dt": "2017-05-04T10:11:14", "lvl": "info", "msg": !!python/str "a\\tb \\x41"}\n')
    site.do("end", job=job)
    page.goto(f"{site.url}/scheduler/job/{job}")
    expect(page.locator("#tail")).to_contain_text("End of the log, 3 lines")
    assert shown_lines(page) == ['it\'s "old": yes', "pass 0_old / boot  1.5 s", "a\tb A"]
    assert page.locator("#L0 > a").get_attribute("data-clock") == "10:11:12"
    expect(page.locator("#results")).to_contain_text("boot1.5 s")


def test_cancel_and_resubmit(site: Site, page: Page) -> None:
    job = site.running_job(definition())
    page.goto(f"{site.url}/scheduler/job/{job}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#verdict")).to_have_text("Canceling")
    page.get_by_role("link", name="Resubmit").click()
    source = page.get_by_label("Definition")
    text = source.input_value()
    source.fill(text.replace("device_type: qemu", "device_type: no-such-type"))
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("device type 'no-such-type' is unavailable")
    page.get_by_label("Definition").fill(text)
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#verdict")).to_have_text("Submitted")
    assert site.do("show", job=job)["state"] == "Canceling"
    assert site.do("show", job=int(page.url.rsplit("/", 1)[1]))["submitter"] == "admin"
