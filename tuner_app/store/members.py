"""Members: the people whom the page lets in, what they may do there and how much."""

from typing import Any

from engine.errors import UserError
from tuner_app.store import people, stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Member, MemberRole

ROLES: tuple[MemberRole, ...] = ("annotator", "reviewer", "admin")  # each may do what those before it may
MEMBER = "m.person_id, p.name, m.role, m.daily_limit, m.revoked, m.created"
_MEMBERS = f"SELECT {MEMBER} FROM members m JOIN people p ON p.id = m.person_id"
_UNCHANGED = "Nothing was changed."


def add(store: Store, name: str, role: MemberRole = "annotator", *, daily_limit: int | None = None) -> Member:
    """A new member; a UserError where there is one of this name already."""
    _check(role, daily_limit)
    with store.write():
        person = people.add(store, name)
        if find(store, name):
            raise UserError(f"“{name}” is here already.", kept=_UNCHANGED, do="Choose another name.")
        store.execute(
            "INSERT INTO members (person_id, role, daily_limit, created) VALUES (?, ?, ?, ?)",
            (person.id, "admin" if name == people.ME else role, daily_limit, stamps.now()),
        )
        return get(store, name)


def find(store: Store, name: str) -> Member | None:
    """The member called `name`, shut out or not, or None."""
    row = store.one(f"{_MEMBERS} WHERE p.name = ?", (name,))
    return row and of(row)


def get(store: Store, name: str) -> Member:
    """The member called `name`; a UserError where there is none. The person at this machine is one, an
    admin, from the first use on."""
    found = find(store, name)
    if found is None and name == people.ME:
        return add(store, name, "admin")
    if found is None:
        raise UserError(f"“{name}” is not among the people of the page.", do=f"tuner people add {name}")
    return found


def listed(store: Store) -> list[Member]:
    """Everybody, those who were shut out included, by name."""
    return [of(row) for row in store.query(f"{_MEMBERS} ORDER BY p.name")]


def change(store: Store, name: str, *, role: MemberRole, daily_limit: int | None) -> Member:
    """Give a member this role and this limit (None: no limit)."""
    _check(role, daily_limit)
    with store.write():
        member = get(store, name)
        if name == people.ME and role != "admin":
            raise _always_admin()
        store.execute(
            "UPDATE members SET role = ?, daily_limit = ? WHERE person_id = ?",
            (role, daily_limit, member.person_id),
        )
        return get(store, name)


def revoke(store: Store, name: str) -> Member:
    """Shut a member out: sessions and links end at once, and what they hold goes to others. Their labels
    stay."""
    with store.write():
        member = get(store, name)
        if name == people.ME:
            raise _always_admin()
        now = stamps.now()
        store.execute(
            "UPDATE members SET revoked = coalesce(revoked, ?) WHERE person_id = ?", (now, member.person_id)
        )
        for end in (
            "UPDATE sessions SET ended = :now WHERE person_id = :person AND ended IS NULL",
            "UPDATE links SET expires = :now WHERE person_id = :person AND used IS NULL AND expires > :now",
            "UPDATE leases SET lives = 0 WHERE person_id = :person AND lives",
        ):
            store.execute(end, {"now": now, "person": member.person_id})
        return get(store, name)


def restore(store: Store, name: str) -> Member:
    """Let a member in again, by a new link."""
    with store.write():
        member = get(store, name)
        store.execute("UPDATE members SET revoked = NULL WHERE person_id = ?", (member.person_id,))
        return get(store, name)


def of(row: Any) -> Member:
    """The member of a row that has the columns `MEMBER`."""
    return Member(**row)


def _check(role: str, daily_limit: int | None) -> None:
    if role not in ROLES:
        raise UserError(f"“{role}” is no role.", kept=_UNCHANGED, do=f"Choose one of {', '.join(ROLES)}.")
    if daily_limit is not None and daily_limit < 0:
        raise UserError("A daily limit is 0 or more.", kept=_UNCHANGED)


def _always_admin() -> UserError:
    return UserError(f"“{people.ME}”, the person at this machine, is always an admin.", kept=_UNCHANGED)
