"""Who labels."""

from engine.errors import UserError
from tuner_app.store import stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Person, PersonKind

ME = "me"  # the person at this machine


def me(store: Store) -> Person:
    """The person at this machine, there from the first use on."""
    return find(store, ME) or add(store, ME)


def add(store: Store, name: str, kind: PersonKind = "human") -> Person:
    """A new person; the same one again when name and kind are known, a UserError when the kind differs."""
    if not name.strip() or not name.isprintable() or len(name) > 64:
        raise UserError(
            f"{name!r} cannot be a person's name.", do="Give a name of 1 to 64 visible characters."
        )
    with store.write():
        known = find(store, name)
        if known is None:
            store.execute(
                "INSERT INTO people (name, kind, created) VALUES (?, ?, ?)", (name, kind, stamps.now())
            )
            return get(store, name)
    if known.kind != kind:
        raise UserError(
            f"“{name}” is here already, as a {known.kind}.",
            kept="Nothing was changed.",
            do="Choose another name.",
        )
    return known


def find(store: Store, name: str) -> Person | None:
    """The person called `name`, or None."""
    row = store.one("SELECT id, name, kind, created FROM people WHERE name = ?", (name,))
    return row and Person(**row)


def get(store: Store, name: str) -> Person:
    """The person called `name`; a UserError where there is none."""
    if name == ME:
        return me(store)
    person = find(store, name)
    if person is None:
        raise UserError(
            f"There is no person called “{name}”.", kept="Nothing was saved.", do="Add the person first."
        )
    return person


def listed(store: Store) -> list[Person]:
    """Everybody, by name."""
    return [Person(**row) for row in store.query("SELECT id, name, kind, created FROM people ORDER BY name")]
