"""`tuner people`: who may come to the page."""

import json
import re
from pathlib import Path

import pytest

from tuner_app.store import Store, audit, members, sessions


@pytest.fixture
def store(tuner, tmp_path: Path) -> Store:
    tuner("people")
    return Store.open(tmp_path / "home" / "tuner.sqlite")


def test_a_person_is_added_with_a_link_that_lets_them_in(tuner, store: Store) -> None:
    said = tuner("people", "add", "ann", "--limit", 50)
    assert said.status == 0
    assert "ann: annotator, 50 labels a day." in said.out
    found = re.search(r"http://127\.0\.0\.1:7077/join#(\S+)", said.out)
    assert found
    session = sessions.redeem(store, found[1])
    assert session
    assert sessions.member_of(store, session) == members.get(store, "ann")


def test_the_link_leads_to_where_the_page_was(tuner, store: Store) -> None:
    audit.note(store, audit.PAGE_STARTED, detail="https://labels.example:8443")
    assert "https://labels.example:8443/join#" in tuner("people", "add", "ann", "--role", "reviewer").out
    assert members.get(store, "ann").role == "reviewer"


def test_people_are_listed(tuner, store: Store) -> None:
    tuner("people", "add", "ann", "--limit", 50)
    tuner("people", "add", "Zoë\x1b[31m")
    tuner("people", "add", "bob")
    tuner("people", "revoke", "bob")
    listed = tuner("people").out.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["ann", "bob", "me"], "a name of escapes is refused"
    assert "shut out since 20" in listed[2]
    rows = json.loads(tuner("people", "--json").out)
    assert [(row["name"], row["role"], row["daily_limit"], row["today"]) for row in rows] == [
        ("ann", "annotator", 50, 0),
        ("bob", "annotator", None, 0),
        ("me", "admin", None, 0),
    ]


def test_a_person_is_changed(tuner, store: Store) -> None:
    tuner("people", "add", "ann", "--limit", 50)
    assert "ann: admin, 50 labels a day." in tuner("people", "change", "ann", "--role", "admin").out
    assert json.loads(tuner("people", "change", "ann", "--limit", 0, "--json").out)["daily_limit"] is None
    assert members.get(store, "ann").role == "admin"


def test_a_person_is_shut_out_and_let_in_again(tuner, store: Store) -> None:
    link = json.loads(tuner("people", "add", "ann", "--json").out)["link"]
    session = sessions.redeem(store, link.partition("#")[2])
    assert session
    assert "shut out" in tuner("people", "revoke", "ann").out
    assert sessions.member_of(store, session) is None
    said = tuner("people", "invite", "ann")
    assert said.status == 1
    assert "tuner people restore ann" in said.err
    assert "/join#" in tuner("people", "restore", "ann").out
    actions = [(entry.action, entry.detail, entry.person) for entry in audit.listed(store)]
    assert actions == [
        ("people restore", "ann", "me"),
        ("people revoke", "ann", "me"),
        ("people add", "ann", "me"),
    ]


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("add",), "Whom should “add” take?"),
        (("change", "ann"), "Change what?"),
        (("add", "ann"), "here already"),
        (("invite", "nobody"), "tuner people add nobody"),
        (("revoke", "me"), "always an admin"),
    ],
)
def test_what_is_refused_says_why(tuner, store: Store, words: tuple[str, ...], needle: str) -> None:
    tuner("people", "add", "ann")
    said = tuner("people", *words)
    assert said.status == 1
    assert needle in said.err
