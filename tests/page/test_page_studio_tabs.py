"""What whoever runs the labelling does in the studio, in a real browser."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe import faults
from labelling import DESK, PHONE, Browser, Page, enter, expect, until, walk
from served import Served, pairs

from tuner_app import settings
from tuner_app.store import audit, gold, labels, members, people, runs, sharing, snapshots
from tuner_app.store.stamps import new_uid

EVIL = "<img src=x onerror=document.title='bad'>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page where three people have judged the same twelve pairs, and Chen otherwise than the others."""
    page = Served(tmp_path_factory.mktemp("home"))
    batch = page.share(pairs(12), "sums", overlap=3)
    for name, reply in (("Ana", 0), ("Bo", 0), ("Chen", 1)):
        page.member(name)
        for task in sharing.take(page.store, name, count=12):
            value = {"reply": reply if task.position % 3 else 0}
            given = (new_uid(), batch.id, task.item.hash, "choose", value, task.shown)
            comment = EVIL if value["reply"] else ""
            sharing.give(page.store, name, sharing.Given(*given, comment=comment))  # type: ignore[arg-type]
    members.add(page.store, "Rita", "reviewer")
    page.start()
    yield page
    page.close()


@contextmanager
def studio(browser: Browser, served: Served, name: str, **how: Any) -> Iterator[Page]:
    """The studio as a person sees it who has just come in."""
    context = browser.new_context(**({"viewport": DESK} | how))
    page = context.new_page()
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)  # a busy machine; what is there is seen at once
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    enter(page, served, name, "studio/")
    yield page
    assert page.title() != "bad"
    assert not faults
    context.close()


def open_tab(page: Page, name: str) -> None:
    """Open a tab."""
    page.get_by_role("tab", name=name, exact=True).click()


def field(page: Page, id: str) -> Any:
    """The field of a component."""
    return page.locator(f"#{id}").locator("input, textarea").first


def choose(page: Page, id: str, option: str) -> None:
    """Choose in a list."""
    field(page, id).click()
    page.locator(f"#{id}").get_by_role("option", name=option, exact=True).click()


def test_a_reviewer_sees_how_far_all_are_and_how_they_agree(browser: Browser, served: Served) -> None:
    with studio(browser, served, "Rita") as page:
        expect(page.get_by_role("tab", name="Progress")).to_be_visible()
        for hidden in ("Runs", "Data", "People"):
            expect(page.get_by_role("tab", name=hidden, exact=True)).to_have_count(0)
        open_tab(page, "Progress")
        far = page.locator("#progress-far")
        expect(far.get_by_role("row", name=re.compile("sums.*36 . 36"))).to_be_visible()
        expect(far.get_by_role("row", name=re.compile("^Chen sums 12 12"))).to_be_visible()
        agreed = page.locator("#progress-agreement")
        expect(agreed.get_by_role("row", name=re.compile("^κ Ana – Chen"))).to_be_visible()
        expect(agreed.get_by_role("row", name=re.compile("^Krippendorff's α -?0\\.\\d\\d"))).to_be_visible()


def twice(route: Any) -> None:
    """A request that comes twice: its first answer was lost on the way."""
    route.fetch()
    route.continue_()


def test_a_reviewer_decides_by_key_takes_back_and_makes_gold(browser: Browser, served: Served) -> None:
    with studio(browser, served, "Rita") as page:
        open_tab(page, "Review")
        case, told = page.locator("#review-case"), page.locator("#review-told")
        expect(case.get_by_text("Item 2. 8 to decide.")).to_be_visible()
        expect(case.get_by_text("Question 1")).to_be_visible()
        expect(case.get_by_role("row", name=re.compile("^Chen B is better <img src=x"))).to_be_visible()
        expect(case.get_by_text("secret-model")).to_have_count(0)
        page.route("**/gradio_api/run/**", twice, times=1)
        page.keyboard.press("1")
        expect(told.get_by_text("Saved: A is better.")).to_be_visible()
        expect(case.get_by_text("Item 3. 7 to decide.")).to_be_visible()
        page.keyboard.press("u")
        expect(told.get_by_text("Taken back.")).to_be_visible()
        expect(case.get_by_text("Item 2. 8 to decide.")).to_be_visible()
        field(page, "review-why").fill("1 2 b are words here")  # keys are dead in a text field
        page.locator("#review-gold input").check()
        page.get_by_role("button", name="A tie (0)").click()
        expect(case.get_by_text("Item 3. 7 to decide.")).to_be_visible()
        page.keyboard.press("n")
        expect(case.get_by_text("Item 5. 7 to decide.")).to_be_visible()
    assert served.verbs("Rita") == ["choose", "undo", "tie"]
    assert [(one.position, one.verb) for one in gold.answers(served.store, 1)] == [(1, "tie")]


TABS = {
    "chat": ("对话", ["重命名、收起、放回"]),
    "write": ("撰写", []),
    "progress": ("进度", []),
    "review": ("复核", []),
    "runs": ("训练", ["日志", "新训练", "适配器", "方法选项"]),
    "data": ("数据", ["新批次", "分发批次", "导入文件", "导出"]),
    "people": ("人员", ["审计日志"]),
}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"viewport": DESK}, marks=pytest.mark.slow, id="desk"),
        pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone in the dark"),
    ],
)
def test_axe_finds_nothing_on_any_tab_and_keys_lead_everywhere(
    browser: Browser, served: Served, how: dict[str, Any]
) -> None:
    with studio(browser, served, people.ME, locale="zh-CN", **how) as page:
        expect(page.locator("#prompt textarea")).to_be_visible()
        expect(page.locator("#tabs").get_by_text("人员", exact=True).first).to_be_attached()
        for id, (name, folded) in TABS.items():
            tab = page.get_by_role("tab", name=name, exact=True)
            if not tab.is_visible():
                page.locator(".overflow-menu > button").click()
                tab = page.locator(".overflow-dropdown").get_by_role("button", name=name)
            tab.click()
            expect(page.locator(f"#tab-{id}")).to_be_visible()
            for fold in folded:
                page.locator(f"#tab-{id}").get_by_role("button", name=fold).click()
            if id == "progress":
                expect(page.locator("#progress-far")).to_contain_text("sums")
            if id == "runs":
                keeps_what_is_typed_for_another_method(page)
            assert faults(page) == [], name
            if how["viewport"] == DESK:
                page.locator(f"#tab-{id}-button").focus()
                assert walk(page, f"#tab-{id}") == [], name


def keeps_what_is_typed_for_another_method(page: Page) -> None:
    """In the form of a new run, what the methods have in common."""
    choose(page, "new-kind", "dora")
    page.get_by_label("轮数").fill("none")
    choose(page, "new-method", "dpo")
    expect(page.get_by_label("beta")).to_be_visible()
    expect(page.get_by_label("轮数")).to_have_value("none")
    page.locator("#new-start").click()
    expect(page.locator("#new-found").get_by_text("dpo 选项“epochs”应为整数，而不是“none”。")).to_be_visible()
    expect(field(page, "new-kind")).to_have_value("dora")


def test_a_choice_by_enter_keeps_the_focus_and_is_one_choice(browser: Browser, served: Served) -> None:
    asked: list[int] = []
    with studio(browser, served, people.ME) as page:
        open_tab(page, "Data")
        page.get_by_text("Share a batch").click()
        batch, options = field(page, "share-batch"), page.locator("#share-batch [role=option]")
        batch.focus()
        page.on(
            "request", lambda one: asked.append(one.post_data_json["fn_index"]) if one.post_data else None
        )
        page.keyboard.press("ArrowDown")
        expect(batch).to_have_attribute("aria-activedescendant", re.compile("option"))
        with page.expect_request("**/gradio_api/run/**") as choosing:
            page.keyboard.press("Enter")
        expect(batch).to_be_focused()
        expect(options).to_have_count(0)
        asked.clear()
        page.keyboard.press("Tab")
        expect(field(page, "share-overlap")).to_be_focused()
        field(page, "share-overlap").fill("3")
        page.locator("#share-save").click()
        expect(page.locator("#data-told")).to_contain_text("sums")
        assert choosing.value.post_data_json["fn_index"] not in asked  # it would write over what is typed
        batch.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(options).to_have_count(0)
        batch.click()  # the list opens for who goes on
        expect(options.first).to_be_visible()


def row(page: Page, text: str) -> Any:
    """The line of a member."""
    return page.locator("#people-list").get_by_role("row", name=re.compile(text))


def test_somebody_is_added_comes_in_by_the_link_and_is_shut_out(browser: Browser, served: Served) -> None:
    with studio(browser, served, people.ME) as page:
        open_tab(page, "People")
        field(page, "people-name").fill("Dora")
        role = field(page, "people-role")
        page.keyboard.press("Tab")  # another role, by keys alone
        expect(page.get_by_role("option", name="reviewer")).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(role).to_have_attribute("aria-activedescendant", re.compile("option-1"))
        page.keyboard.press("Enter")
        expect(role).to_have_value("reviewer")
        page.keyboard.press("Tab")
        page.keyboard.type("50")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(row(page, "^Dora reviewer 50")).to_be_visible()
        expect(field(page, "people-link")).to_have_value(re.compile("/join#"))
        link = field(page, "people-link").input_value()
        theirs = browser.new_context().new_page()
        theirs.goto(link)
        theirs.wait_for_url(f"{served.url}/")
        page.locator("#people-revoke").click()
        expect(row(page, "^Dora.*shut out")).to_be_visible()
        expect(field(page, "people-link")).to_be_hidden()
        theirs.wait_for_timeout(1100)  # a session is looked up once a second
        assert theirs.goto(f"{served.url}/").url.endswith("/join")
        theirs.context.close()
        page.get_by_text("Audit log").click()
        log = page.locator("#people-audit")
        expect(log.get_by_role("row", name=re.compile("me add member Dora: reviewer 127"))).to_be_visible()
        page.locator("#people-restore").click()
        expect(row(page, "^Dora.*may come in")).to_be_visible()
        field(page, "people-new-limit").fill("many")
        page.locator("#people-change").click()
        expect(page.get_by_text("not “many”")).to_be_visible()


def test_a_file_is_looked_at_imported_and_comes_out_again(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    rows = [{"prompt": EVIL, "chosen": "a", "rejected": "b"}, {"prompt": "no answer"}]
    (tmp_path / "sent.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with studio(browser, served, people.ME) as page:
        open_tab(page, "Data")
        page.get_by_text("Import a file").click()
        page.set_input_files("#import-file", tmp_path / "sent.jsonl")
        page.locator("#import-look").click()
        expect(page.locator("#import-told")).to_have_text("preference (jsonl): 1 pair, 1 refused")
        expect(page.locator("#import-rows")).to_contain_text("<img")
        expect(page.locator("#import-rows")).to_contain_text("is missing")
        learned = page.locator("#data-counts")
        expect(learned.get_by_role("row", name=re.compile("^pairs .* 0$"))).to_be_visible()
        page.locator("#import-keep").click()
        expect(page.locator("#import-told")).to_have_text("Imported: 1 new, 0 already there, 1 refused.")
        expect(learned.get_by_role("row", name=re.compile("^pairs .* 1$"))).to_be_visible()
        page.get_by_text("Export", exact=True).click()
        choose(page, "export-format", "preference")
        field(page, "export-data").fill("imports")
        link = page.locator("#export-link a")
        expect(link).to_have_attribute("href", re.compile("format=preference&data=imports"))
        with page.expect_download() as download:
            link.click()
        assert json.loads(Path(download.value.path()).read_text())["prompt"]
    assert snapshots.sources(served.store) == ["sent.jsonl"]
    assert {"import", "export"} <= {entry.action for entry in audit.listed(served.store)}


def test_a_batch_is_made_and_shared_and_what_keeps_it_from_answers_is_told(
    browser: Browser, served: Served
) -> None:
    with studio(browser, served, people.ME, viewport=PHONE, locale="zh-CN") as page:
        page.get_by_role("tab", name="数据").or_(page.locator(".overflow-menu button")).first.click()
        if page.get_by_role("button", name="数据").count():
            page.get_by_role("button", name="数据").click()
        page.get_by_text("新批次").click()
        field(page, "batch-name").fill("typed")
        field(page, "batch-typed").fill("One?\nTwo?\n")
        page.locator("#batch-make").click()
        expect(page.get_by_text("已创建 typed")).to_be_visible()
        page.get_by_text("分发批次").click()
        expect(field(page, "share-batch")).to_have_value("typed")
        field(page, "share-overlap").fill("2")
        field(page, "share-guidelines").fill("Be **kind**.")
        page.locator("#share-save").click()
        expect(page.get_by_text("typed 已开放标注")).to_be_visible()
        expect(page.locator("#data-batches")).to_contain_text("无法连接")  # there is no chat server
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    offered = next(one.batch for one in sharing.offers(served.store, "Ana") if one.batch.name == "typed")
    assert (offered.overlap, offered.guidelines) == (2, "Be **kind**.")


# The charts take all of the panel's width, and no more; a line ends at its chart's right.
FILLED = """(() => {
  const right = (one) => one.getBoundingClientRect().right;
  const charts = [...document.querySelectorAll(".t-chart")];
  const edge = right(document.querySelector("#runs-panel .t"));
  return Math.abs(Math.max(...charts.map(right)) - edge) < 2 && edge <= innerWidth
    && charts.every((one) => Math.abs(right(one) - right(one.querySelector("circle"))) < 16);
})()"""


@pytest.mark.slow
def test_a_run_is_started_watched_paused_resumed_and_stopped(browser: Browser, served: Served) -> None:
    settings.save(served.home, settings.Settings())
    with studio(browser, served, people.ME) as page:
        open_tab(page, "Runs")
        page.get_by_role("button", name="New run").click()
        choose(page, "new-method", "dpo")
        page.get_by_text("Options of the method").click()
        expect(page.get_by_label("how strongly the policy is held")).to_be_visible()  # these are DPO's
        page.get_by_label("epochs").fill("none")
        page.locator("#new-start").click()
        expect(page.locator("#new-found")).to_contain_text("not “none”")
        page.get_by_label("epochs").fill("1000")
        page.locator("#new-check").click()
        expect(page.locator("#new-found")).to_contain_text("is trained on", timeout=120_000)
        page.locator("#new-start").click()
        panel = page.locator("#runs-panel")
        expect(panel.get_by_text(re.compile("step \\d+ of 3000"))).to_be_visible(timeout=120_000)
        expect(panel.get_by_role("figure", name=re.compile("^loss "))).to_be_visible()
        for size in (PHONE, DESK):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            until(page, FILLED)
        for press, status in (
            ("pause", "paused"),
            ("resume", "running"),
            ("stop", "running"),
            ("yes", "stopped"),
        ):
            page.locator(f"#runs-{press}").click()
            expect(panel.get_by_role("heading", name=re.compile(status))).to_be_visible(timeout=60_000)
    run = runs.get(served.store, "dpo-1")
    assert run is not None
    assert run.status == "stopped"
    assert labels.counts(served.store, "Ana")  # and nobody's labels were touched
