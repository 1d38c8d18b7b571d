"""Links and sessions of the page. Of a secret only the SHA-256 is kept, and looked up by index: nothing in
the database lets anyone in, and no comparison tells by its time how much of a guess was right."""

import hashlib
import secrets

from engine.errors import UserError
from tuner_app.store import members, stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Member

_BYTES = 32  # of randomness in a secret


def invite(store: Store, name: str, *, hours: float = 72) -> str:
    """A secret that lets a member in once, within `hours`; a UserError for one who was shut out."""
    secret = secrets.token_urlsafe(_BYTES)
    with store.write():
        member = members.get(store, name)
        if member.revoked:
            raise UserError(
                f"“{name}” was shut out.", kept="No link was made.", do=f"First: tuner people restore {name}"
            )
        store.execute(
            "INSERT INTO links (hash, person_id, created, expires) VALUES (?, ?, ?, ?)",
            (_hash(secret), member.person_id, stamps.now(), stamps.later(hours=hours)),
        )
    return secret


def invited(store: Store, secret: str) -> Member | None:
    """Whom a link's secret lets in; None where that is used, over or wrong."""
    row = store.one(
        f"""SELECT {members.MEMBER} FROM links l JOIN members m ON m.person_id = l.person_id
              JOIN people p ON p.id = m.person_id
            WHERE l.hash = ? AND l.used IS NULL AND l.expires > ? AND m.revoked IS NULL""",
        (_hash(secret), stamps.now()),
    )
    return row and members.of(row)


def redeem(store: Store, secret: str, *, days: float = 30) -> str | None:
    """The secret of a new session for the secret of a link; None where that is used, over or wrong."""
    session = secrets.token_urlsafe(_BYTES)
    now = stamps.now()
    with store.write():
        member = invited(store, secret)
        if member is None:
            return None
        store.execute("UPDATE links SET used = ? WHERE hash = ?", (now, _hash(secret)))
        store.execute(
            "INSERT INTO sessions (hash, person_id, created, expires) VALUES (?, ?, ?, ?)",
            (_hash(session), member.person_id, now, stamps.later(days=days)),
        )
    return session


def member_of(store: Store, session: str) -> Member | None:
    """Whose session this is; None where it has ended, is over, or its member was shut out."""
    row = store.one(
        f"""SELECT {members.MEMBER} FROM sessions s JOIN members m ON m.person_id = s.person_id
              JOIN people p ON p.id = m.person_id
            WHERE s.hash = ? AND s.ended IS NULL AND s.expires > ? AND m.revoked IS NULL""",
        (_hash(session), stamps.now()),
    )
    return row and members.of(row)


def end(store: Store, session: str) -> None:
    """End a session; nothing happens where it has ended or never was."""
    with store.write():
        store.execute(
            "UPDATE sessions SET ended = ? WHERE hash = ? AND ended IS NULL", (stamps.now(), _hash(session))
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
