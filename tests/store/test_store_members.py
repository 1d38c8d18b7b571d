"""Members, their links and sessions, and the audit."""

import hashlib
import threading
from pathlib import Path

import pytest

from engine.errors import UserError
from tuner_app.store import Store, audit, members, people, sessions
from tuner_app.store.rows import Member


def joined(store: Store, name: str = "ann") -> str:
    session = sessions.redeem(store, sessions.invite(store, name))
    assert session
    return session


def test_members_are_added_changed_and_listed(store: Store) -> None:
    ann = members.add(store, "ann", daily_limit=50)
    assert (ann.role, ann.daily_limit, ann.revoked) == ("annotator", 50, None)
    members.add(store, "Zoë", "reviewer")
    changed = members.change(store, "ann", role="admin", daily_limit=None)
    assert members.listed(store) == [members.get(store, "Zoë"), changed]
    assert (changed.role, changed.daily_limit) == ("admin", None)


@pytest.mark.parametrize(
    ("name", "role", "limit"),
    [("ann", "annotator", None), ("", "annotator", None), ("x", "boss", None), ("x", "annotator", -1)],
)
def test_who_cannot_be_added(store: Store, name: str, role: str, limit: int | None) -> None:
    members.add(store, "ann")
    with pytest.raises(UserError):
        members.add(store, name, role, daily_limit=limit)  # type: ignore[arg-type]
    assert [member.name for member in members.listed(store)] == ["ann"]


def test_the_person_at_this_machine_is_always_an_admin(store: Store) -> None:
    assert members.get(store, people.ME).role == "admin"
    with pytest.raises(UserError, match="always an admin"):
        members.revoke(store, people.ME)
    with pytest.raises(UserError, match="always an admin"):
        members.change(store, people.ME, role="annotator", daily_limit=None)
    assert members.get(store, people.ME).revoked is None


def test_a_link_lets_in_once(store: Store) -> None:
    ann = members.add(store, "ann")
    secret = sessions.invite(store, "ann")
    session = sessions.redeem(store, secret)
    assert session
    assert sessions.member_of(store, session) == ann
    assert sessions.redeem(store, secret) is None
    assert sessions.redeem(store, session) is None, "a session is no link"
    assert sessions.member_of(store, secret) is None, "nor a link a session"
    for guess in ("", "x", secret.lower(), secret + "=", "\ud800", sessions._hash(secret)):
        assert sessions.redeem(store, guess) is None
        assert sessions.member_of(store, guess) is None


def test_two_who_redeem_at_once(store: Store, path: Path) -> None:
    members.add(store, "ann")
    secret = sessions.invite(store, "ann")
    got: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: got.append(sessions.redeem(Store.open(path), secret)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(session is not None for session in got) == 1


def test_only_hashes_are_kept(store: Store, path: Path) -> None:
    members.add(store, "ann")
    secret = sessions.invite(store, "ann")
    session = sessions.redeem(store, secret)
    assert session
    assert min(len(secret), len(session)) >= 43, "256 bits"
    (link,) = store.query("SELECT hash FROM links")
    assert link["hash"] == hashlib.sha256(secret.encode()).hexdigest()
    store.close()
    for file in path.parent.iterdir():
        content = file.read_bytes()
        assert secret.encode() not in content
        assert session.encode() not in content


def test_time_ends_links_and_sessions(store: Store) -> None:
    members.add(store, "ann")
    assert sessions.redeem(store, sessions.invite(store, "ann", hours=0)) is None
    over = sessions.redeem(store, sessions.invite(store, "ann"), days=0)
    assert over
    assert sessions.member_of(store, over) is None


def test_a_session_ends_alone(store: Store) -> None:
    members.add(store, "ann")
    one, other = joined(store), joined(store)
    sessions.end(store, one)
    sessions.end(store, "guess")
    assert sessions.member_of(store, one) is None
    assert sessions.member_of(store, other)


def test_revoking_ends_everything_at_once(store: Store, path: Path) -> None:
    members.add(store, "ann")
    members.add(store, "bob")
    session, link, bobs = joined(store), sessions.invite(store, "ann"), joined(store, "bob")
    other = Store.open(path)
    assert sessions.member_of(other, session)
    assert members.revoke(store, "ann").revoked
    assert sessions.member_of(other, session) is None
    assert sessions.redeem(other, link) is None
    with pytest.raises(UserError, match="shut out"):
        sessions.invite(store, "ann")
    assert sessions.member_of(other, bobs)
    assert members.restore(store, "ann").revoked is None
    assert sessions.member_of(other, session) is None, "the old sessions stay ended"
    assert sessions.redeem(other, link) is None
    back = joined(store)
    found = sessions.member_of(other, back)
    assert isinstance(found, Member)
    assert found.name == "ann"


def test_who_is_marked_as_shut_out_is_so_even_where_sessions_and_links_were_not_ended(store: Store) -> None:
    """As where another program has done no more than that."""
    ann = members.add(store, "ann")
    session, link = joined(store), sessions.invite(store, "ann")
    with store.write():
        store.execute("UPDATE members SET revoked = '2020' WHERE person_id = ?", (ann.person_id,))
    assert sessions.member_of(store, session) is None
    assert sessions.redeem(store, link) is None


def test_the_audit(store: Store) -> None:
    members.add(store, "ann")
    audit.note(store, "join", person="ann", address="10.0.0.1")
    audit.note(store, "join refused", detail="a guess", address="10.0.0.2")
    refused, join = audit.listed(store)
    assert (join.person, join.action, join.address) == ("ann", "join", "10.0.0.1")
    assert (refused.person, refused.detail) == (None, "a guess")
    assert audit.listed(store, before=refused.id) == [join]
    assert audit.listed(store, limit=1) == [refused]
