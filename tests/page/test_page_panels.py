"""What the studio shows, without a browser: HTML that nothing breaks out of, charts, progress, forms."""

import json
import string
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import pytest

from engine.errors import UserError
from engine.examples import Message
from engine.spec import Adapter, method_named, methods
from tuner_app.agreement import Agreement, Measure
from tuner_app.curves import Curve
from tuner_app.page.studio import (
    data_panel,
    markup,
    new_run,
    people,
    progress,
    progress_panel,
    review,
    review_panel,
    words,
)
from tuner_app.page.studio.charts import chart
from tuner_app.page.studio.option_fields import given, option_fields
from tuner_app.page.studio.run_panel import Followed, panel, shown
from tuner_app.paths import Home
from tuner_app.run_facts import RunFacts
from tuner_app.store import Store, batches, comments, labels, members, models, runs, sharing
from tuner_app.store.gold import answers as gold_answers
from tuner_app.store.progress import Done, Far
from tuner_app.store.rows import Asked, Batch, Reply, Verb

EVIL = '<img src=x onerror=alert(1)> & "quotes" \x1b[31m\u202e'
ENGLISH = words.Words("en")


class Tags(HTMLParser):
    """The names of all tags and attributes of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def store(home: Home) -> Store:
    return Store.open(home.database, migrate=True)


def judged(store: Store, votes: dict[str, str], count: int = 1) -> Batch:
    """A batch of pairs, each judged by these people: “0”, “1” or a verb."""
    asked = [Asked((Message("user", f"{EVIL} {n}"),), (Reply(EVIL), Reply("other"))) for n in range(count)]
    batch = batches.make(store, asked, name="b", kind="pair", uid=uuid4().hex)
    sharing.configure(store, batch.id, shared=True, overlap=3)
    for name, vote in votes.items():
        members.add(store, name, "annotator")
        for task in sharing.take(store, name, count=50):
            verb: Verb = "choose" if vote.isdigit() else vote  # type: ignore[assignment]
            value = {"reply": int(vote)} if vote.isdigit() else {}
            uid = uuid4().hex
            sharing.give(
                store,
                name,
                sharing.Given(uid, batch.id, task.item.hash, verb, value, task.shown, comment=EVIL),
            )
    return batches.get(store, batch.id)


def test_nothing_breaks_out_of_a_table_or_a_block() -> None:
    made = markup.joined(
        [
            markup.table([EVIL], [[EVIL], [3], [None]], caption=EVIL),
            markup.said(EVIL),
            markup.block(EVIL, EVIL),
            EVIL,
        ]
    )
    assert not {"img", "onerror", "src"} & Tags(made).found
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "\n" not in markup.joined([markup.block("two\n\nlines")])  # Markdown would end the HTML there


def test_numbers_stand_to_the_right_under_their_heads_and_an_empty_table_says_so() -> None:
    made = markup.table(["name", "many"], [["a", 1234], ["b", None]], caption="c")
    assert made.count('class="number"') == 2
    assert "1,234" in made
    assert "nobody" in markup.table(["name"], [], caption="c", empty="nobody")


def test_a_chart_draws_its_points_between_its_lowest_and_highest_and_says_them() -> None:
    curve = Curve()
    for step, value in ((1, 2.0), (2, 1.0), (3, 4.0)):
        curve.add(step, float(step), value)
    drawn = chart("reward chosen", curve)
    points = drawn.split('<polyline points="')[1].split('"')[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[2] < heights[0] < heights[1]  # y grows downwards
    assert min(heights) == 8
    assert 'aria-label="reward chosen: 4; 1 – 4"' in drawn
    assert "polyline" not in chart("loss", Curve())


def test_other_runs_are_laid_over_in_the_same_frame_and_named() -> None:
    curves = []
    for values in ((2.0, 1.0), (8.0, 3.0, 6.0)):
        curves.append(Curve())
        for step, value in enumerate(values, 1):
            curves[-1].add(step, float(step), value)
    drawn = chart("loss", curves[0], [(EVIL, curves[1]), ("empty", Curve())])
    assert drawn.count("<polyline") == 3  # two lines, and one in the legend
    assert 'class="beside-0"' in drawn
    mine = drawn.split('<polyline points="')[1].split('"')[0].split()
    theirs = drawn.split('<polyline class="beside-0" points="')[1].split('"')[0].split()
    assert mine[0].split(",")[0] == theirs[0].split(",")[0]
    assert float(mine[1].split(",")[0]) < float(theirs[2].split(",")[0])  # it has one step less
    assert float(mine[0].split(",")[1]) > float(theirs[1].split(",")[1])  # 2 stands lower than 3
    assert "loss: 1; 1 – 8" in drawn
    assert not {"img", "onerror"} & Tags(drawn).found


def test_time_left_is_what_is_wanted_at_the_pace_of_those_who_labelled_today() -> None:
    far = Far(1, items=100, gold=0, finished=20, labels=60, wanted=300)
    working = Done("Ana", 1, 40, 0, 40, 2400.0, 1, 2)  # 60 an hour
    resting = Done("Bo", 1, 20, 0, 0, 120.0, 0, 0)
    assert progress_panel.left(far, [working, resting]) == "4 h 00 min"
    assert progress_panel.left(far, [resting]) == ""
    assert progress_panel.share(299, 300) == "99 %"
    table = progress_panel.far([far], [working], {1: EVIL}, ENGLISH)
    assert "1 / 2" in table
    assert "img" not in Tags(table).found


def test_agreement_shows_each_measure_with_its_interval_or_why_there_is_none() -> None:
    none = Measure(None, None, None, 0, "nobody has judged the same items")
    two = Agreement(Measure(0.5, 0.25, 0.75, 9), {("Ana", "Bo"): Measure(-0.1, None, None, 9)})
    assert "0.25 … 0.75" in progress_panel.agreement(two, ENGLISH)
    assert "-0.10" in progress_panel.agreement(two, ENGLISH)
    assert none.why in progress_panel.agreement(Agreement(none, {}), ENGLISH)


def test_progress_of_real_labels(store: Store) -> None:
    judged(store, {"Ana": "0", "Bo": "1"}, count=3)
    text = progress.far_of(store, ENGLISH)
    assert "Ana" in text
    assert "6 / 9" in text
    assert progress.judged_batches(store) == ["b"]
    assert "κ Ana – Bo" in progress.agreement_of(store, "b", ENGLISH)


def test_a_reviewer_goes_through_disagreements_decides_and_takes_back(store: Store) -> None:
    batch = judged(store, {"Ana": "0", "Bo": "1"}, count=2)
    rita = members.add(store, "Rita", "reviewer")
    first = review_panel.following(store, "b", "Rita")
    assert first is not None
    assert (first.found.position, first.left) == (0, 2)
    page = review_panel.case_page(store, first, ENGLISH)
    assert "A is better" in page
    assert "B is better" in page
    assert not {"img", "onerror"} & Tags(page).found
    sent = review_panel.Place.of(first.place.text)
    assert sent is not None
    event = review.decided(store, sent, "choose 1", rita, "the rule of the third page", False)
    again = review.decided(store, sent, "choose 1", rita, "the rule of the third page", False)
    assert again.uid == event.uid  # the same press of a button twice is one label
    other = review.decided(store, sent, "tie", rita, "", False)  # but not another button
    review.taken_back(store, other.uid, rita)
    assert comments.of_labels(store, [event.uid])[event.uid] == ("the rule of the third page",)
    second = review_panel.following(store, "b", "Rita", first.found.position)
    assert second is not None
    assert (second.found.position, second.left) == (1, 1)
    review.decided(store, second.place, "tie", rita, "", True)
    assert [(one.position, one.verb) for one in gold_answers(store, batch.id)] == [(1, "tie")]
    assert review_panel.following(store, "b", "Rita") is None
    for _ in range(2):  # sent again, because the answer to the first was lost
        review.taken_back(store, event.uid, rita)
    assert labels.head(store, event.item_hash, "Rita") is None
    assert [e.verb for e in labels.history(store, event.item_hash) if e.person == "Rita"] == [
        *("choose", "tie", "undo", "undo"),
    ]
    for uid in ("", "undo-", labels.standing(store, event.item_hash)[0].uid):  # the last is somebody else's
        with pytest.raises(UserError, match="nothing to take back"):
            review.taken_back(store, uid, rita)


@pytest.mark.parametrize("sent", [None, "", "[]", '{"batch": 1}', "[" * 10_000])
def test_a_case_that_no_page_was_given_is_none(sent: str | None) -> None:
    assert review_panel.Place.of(sent) is None
    one = review_panel.Place(1, 2, "h", "t")
    assert review_panel.Place.of(one.text) == one
    assert review_panel.Place.of(one.text.replace("1", '"1"')) is None


@pytest.mark.parametrize(
    ("choice", "answer"),
    [("choose 1", ("choose", {"reply": 1})), ("both_bad", ("both_bad", {})), ("good", ("good", {}))],
)
def test_what_a_button_says(choice: str, answer: tuple[str, dict[str, int]]) -> None:
    assert review_panel.answer_of(choice) == answer


@pytest.mark.parametrize("name", [*methods()])
def test_a_form_has_each_option_of_a_method_and_keeps_what_is_not_as_usual(name: str) -> None:
    cls = method_named(name).options
    found = option_fields(cls)
    assert {one.name for one in found} == {*cls.__dataclass_fields__}
    assert all(one.help for one in found)
    values = ["0.5" if one.name == "learning_rate" else "" for one in found]
    assert given(cls, values, "option") == {"learning_rate": 0.5}


def test_a_value_that_cannot_be_is_refused_by_name() -> None:
    values = ["-1" if one.name == "rank" else "" for one in option_fields(Adapter)]
    with pytest.raises(UserError, match="rank"):
        given(Adapter, values, "adapter setting")


def test_a_browser_names_no_base_that_is_not_offered(store: Store, home: Home, tmp_path: Path) -> None:
    values = ["all", "", str(tmp_path), "", "", "auto", 0]
    options = {one.name: "" for one in (*option_fields(Adapter), *new_run.every_option())}
    options |= {"epochs": "2", "kl_coefficient": "7"}  # of which DPO has the first alone
    plan = new_run.plan_of("dpo", *values, *options.values())  # type: ignore[arg-type]
    assert plan.options == {"epochs": 2}
    with pytest.raises(UserError, match="none of the bases"):
        new_run._start(store, home, plan, members.get(store, "me"))
    with pytest.raises(UserError, match="none of the bases"):
        new_run._checking(store, home, plan)


@pytest.mark.parametrize(("typed", "limit"), [("", None), (" 20 ", 20), ("0", 0)])
def test_a_limit_as_it_is_typed(typed: str, limit: int | None) -> None:
    assert people.limit_of(typed) == limit
    with pytest.raises(UserError):
        people.limit_of("-3")


def test_people_are_added_shut_out_and_let_in_and_all_of_it_is_in_the_audit(store: Store) -> None:
    me = members.get(store, "me")
    assert people.added(store, me, "Dora", "annotator", 5, "127.0.0.1")
    people.revoked(store, me, "Dora", "annotator", "", "127.0.0.1")
    with pytest.raises(UserError):
        people.invited(store, me, "Dora", "")
    people.restored(store, me, "Dora", "annotator", "", "127.0.0.1")
    people.changed(store, me, "Dora", "reviewer", "", "127.0.0.1")
    assert people.invited(store, me, "Dora", "")
    dora = members.get(store, "Dora")
    assert (dora.role, dora.daily_limit) == ("reviewer", None)
    with pytest.raises(UserError, match="yourself"):
        people.revoked(store, me, "me", "admin", "", "")
    entries = people.audit.listed(store)
    assert [one.action for one in reversed(entries)] == [
        *("add member", "revoke", "restore", "change member", "invite")
    ]
    assert "127.0.0.1" in people.audit_table(entries, ENGLISH)
    assert "Dora" in people.people_table(members.listed(store), ENGLISH)


def test_the_list_of_batches_says_what_goes_on(store: Store) -> None:
    batch = judged(store, {"Ana": "0"})
    assert "all answers are there" in data_panel.batches_table(store, {}, ENGLISH)
    assert "the disk is full" in data_panel.batches_table(store, {batch.id: "the disk is full"}, ENGLISH)
    assert "pairs" in data_panel.counts_table(store, ENGLISH)
    with pytest.raises(UserError, match="no batch"):
        data_panel.batch_named(store, "another")


def test_a_link_to_export_is_made_of_what_can_be() -> None:
    link = data_panel.export_link("kto-tag", 'tag:"a b"&x', ".csv", ENGLISH)
    assert "wrong" in link or "%26x" in link
    assert "/api/export?format=messages&amp;data=all&amp;container=.jsonl" in data_panel.export_link(
        "messages", "all", ".jsonl", ENGLISH
    )
    assert "wrong" in data_panel.export_link("messages", "nonsense:::", ".jsonl", ENGLISH)


def test_a_run_is_followed_from_where_it_was_seen_last(store: Store, home: Home) -> None:
    followed = Followed()
    assert shown(store, home, followed, "", ENGLISH).choices == ()
    base = store_base(store)
    spec = {"method": "dpo", "parent": None, "base": "builtin", "precision": "fp32", "options": {}}
    run = runs.create(store, spec=spec, base_id=base, snapshot_hash="0" * 64)
    runs.set_status(store, run.id, "running", pid=1)
    step = {"steps": 4, "loss": 0.5, "seconds": 1.0, "tokens": 10, "metrics": {"accuracy": 0.75}}
    rest = {"learning_rate": 1e-4, "grad_norm": 1.0}
    runs.emit(store, run.id, "step", {**step, **rest, "step": 1})
    first = shown(store, home, followed, run.name, ENGLISH)
    assert (first.may_pause, first.may_stop, first.may_resume) == (True, True, False)
    assert "step 1 of 4" in first.panel
    runs.emit(store, run.id, "step", {**step, **rest, "step": 2})
    runs.emit(store, run.id, "warning", {"message": EVIL})
    second = shown(store, home, followed, run.name, ENGLISH)
    assert "step 2 of 4" in second.panel
    assert second.panel.count("<polyline") == 5
    assert "img" not in Tags(second.panel).found
    again = shown(store, home, followed, run.name, ENGLISH)
    assert again.seal == second.seal != first.seal  # nothing new: nothing is sent
    assert again.seal.split()[0] == first.seal.split()[0]  # the names are the same
    other = runs.create(store, spec=spec, base_id=base, snapshot_hash="0" * 64)
    runs.emit(store, other.id, "step", {**step, **rest, "step": 1})
    both = shown(store, home, followed, run.name, ENGLISH, [other.name, run.name, "none"])
    assert both.panel.count('<polyline class="beside-0"') == 10  # five figures, and the legend of each
    assert "beside-1" not in both.panel
    assert both.seal.split()[0] != second.seal.split()[0]


def test_a_run_is_found_under_what_its_model_is_called_now(store: Store, home: Home) -> None:
    spec = {"method": "dpo", "parent": None, "base": "builtin", "precision": "fp32", "options": {}}
    old = runs.create(store, spec=spec, base_id=store_base(store), snapshot_hash="0" * 64)
    made = models.add_adapter(
        store, name=old.name, base_id=old.base_id, run_id=old.id, folder="runs/dpo-1/adapter", hash="h"
    )
    runs.create(store, spec=spec, base_id=old.base_id, parent_id=made.id, snapshot_hash="0" * 64)
    models.rename(store, made, "warm")
    runs.set_status(store, old.id, "done")
    seen = shown(store, home, Followed(), "warm", ENGLISH)
    assert seen.choices == (("dpo-2", "dpo-2"), ("warm (dpo-1)", "dpo-1"))
    assert seen.name == "dpo-1"
    assert "warm (dpo-1): dpo, builtin" in seen.panel
    assert "<td>warm (dpo-1)</td>" in seen.table
    assert "<td>warm</td>" in seen.table  # what the other went on from


def test_what_to_do_after_an_error_stands_beside_it(store: Store) -> None:
    spec = {"method": "sft", "parent": None, "base": "builtin", "precision": "fp32"}
    run = runs.create(
        store,
        spec={**spec, "options": {"learning_rate": 0.1}},
        base_id=store_base(store),
        snapshot_hash="0" * 64,
    )
    runs.set_status(store, run.id, "failed", error="The loss is no longer a number at step 3.")
    found = runs.get(store, run.name)
    assert found is not None
    assert "a tenth of the learning rate" in panel(found, RunFacts(), ENGLISH)


def store_base(store: Store) -> int:
    """A base, so that there can be a run."""
    with store.write():
        snapshot = store.one("SELECT 1 FROM snapshots")
        if snapshot is None:
            store.execute(
                "INSERT INTO snapshots (hash, kind, rows, created) VALUES (?, 'pair', 0, '')", ("0" * 64,)
            )
        return store.execute(
            "INSERT INTO bases (name, source, fingerprint, created) VALUES ('builtin', 'builtin', 'f', '')"
        )


def test_the_words_of_both_languages_have_the_same_keys_and_places() -> None:
    folder = Path(words.__file__).parent
    read = {
        name: json.loads((folder / f"words.{name}.json").read_text(encoding="utf-8"))
        for name in words.LANGUAGES
    }
    assert {*read["en"]} == {*read["zh"]}
    for key, text in read["en"].items():
        assert places(text) == places(read["zh"][key]), key


def places(text: str) -> set[str]:
    """The names of the values that go into a text."""
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}
