"""Version 4: members and their sessions, batches shared out, gold, comments, the audit."""

from tuner_app.store.schema.triggers import append_only

_SEEN = (
    "labels = labels + excluded.labels, skips = skips + excluded.skips, seconds = seconds + excluded.seconds"
)
# The seconds since its person's event before `e`; 0 after a pause.
_SECONDS = """coalesce((SELECT seconds FROM (SELECT unixepoch(e.created, 'subsec')
      - unixepoch(before.created, 'subsec') AS seconds
    FROM label_events before WHERE before.person_id = e.person_id AND before.created < e.created
    ORDER BY before.created DESC LIMIT 1) WHERE seconds <= 300), 0)"""
# A label `e` that stands, `row` of heads, is one more of its day's, in every batch that has its item.
_COUNTED = f"""INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT s.batch_id, new.person_id, substr(e.created, 1, 10), new.verb <> 'skip', new.verb = 'skip',
    {_SECONDS}
  FROM slots s CROSS JOIN label_events e ON e.id = new.event_id WHERE s.item_id = new.item_id
  ON CONFLICT DO UPDATE SET {_SEEN};"""
# One less; the time that it took was spent all the same.
_UNCOUNTED = """UPDATE work SET labels = labels - (old.verb <> 'skip'), skips = skips - (old.verb = 'skip')
  WHERE person_id = old.person_id AND batch_id IN (SELECT batch_id FROM slots WHERE item_id = old.item_id)
    AND day = (SELECT substr(created, 1, 10) FROM label_events WHERE id = old.event_id);"""
_HEAD_GIVES = "UPDATE slots SET room = room {sign} ({row}.verb <> 'skip') WHERE item_id = {row}.item_id;"
_SLOT = f"""INSERT INTO slots (batch_id, position, item_id, room)
  SELECT new.batch_id, new.position, new.item_id, overlap -
    (SELECT count(*) FROM heads WHERE item_id = new.item_id AND verb <> 'skip')
  FROM batches WHERE id = new.batch_id;
INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT new.batch_id, h.person_id, substr(e.created, 1, 10), h.verb <> 'skip', h.verb = 'skip', {_SECONDS}
  FROM heads h CROSS JOIN label_events e ON e.id = h.event_id WHERE h.item_id = new.item_id
  ON CONFLICT DO UPDATE SET {_SEEN};
UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND next > new.position;"""

FOURTH = (
    # Whom the page knows: what they may do, the links that let them in, and where they are in.
    """CREATE TABLE members (
  person_id INTEGER PRIMARY KEY REFERENCES people(id),
  role TEXT NOT NULL CHECK (role IN ('annotator', 'reviewer', 'admin')),
  daily_limit INTEGER CHECK (daily_limit >= 0),
  revoked TEXT,
  created TEXT NOT NULL
) STRICT""",
    """CREATE TABLE links (
  hash TEXT PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES members(person_id),
  created TEXT NOT NULL,
  expires TEXT NOT NULL,
  used TEXT
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX links_by_person ON links(person_id)",
    """CREATE TABLE sessions (
  hash TEXT PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES members(person_id),
  created TEXT NOT NULL,
  expires TEXT NOT NULL,
  ended TEXT
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX sessions_by_person ON sessions(person_id)",
    # How a batch is shared out: each item by `overlap` people, `gold_rate` of what a person gets is gold.
    "ALTER TABLE batches ADD COLUMN overlap INTEGER NOT NULL DEFAULT 1 CHECK (overlap >= 1)",
    "ALTER TABLE batches ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE batches ADD COLUMN gold_rate REAL NOT NULL DEFAULT 0 CHECK (gold_rate BETWEEN 0 AND 1)",
    "ALTER TABLE batches ADD COLUMN guidelines TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE batches ADD COLUMN shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1))",
    "CREATE INDEX batches_shared ON batches(priority DESC, id) WHERE shared AND NOT archived",
    # Who may do a batch; everybody where nobody is named.
    """CREATE TABLE batch_people (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  PRIMARY KEY (batch_id, person_id)
) STRICT, WITHOUT ROWID""",
    # What of a batch can be judged, kept by triggers. `room`: how many more people it may be given to, which
    # is the overlap less labels that stand (skips do not count) less live leases; below 0 where a label came
    # late. A gold item has a known answer, comes to everybody at its rate, and its room says nothing.
    """CREATE TABLE slots (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  position INTEGER NOT NULL,
  item_id INTEGER NOT NULL REFERENCES items(id),
  room INTEGER NOT NULL,
  gold_verb TEXT,
  gold_value TEXT,
  PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX slots_by_item ON slots(item_id)",
    "CREATE INDEX slots_open ON slots(batch_id, position, item_id) WHERE room > 0 AND gold_verb IS NULL",
    "CREATE INDEX slots_gold ON slots(batch_id, position, item_id) WHERE gold_verb IS NOT NULL",
    # An item in a person's hands, in the order `shown`; one that has expired or was given back no longer
    # lives, and its label is taken all the same.
    """CREATE TABLE leases (
  id INTEGER PRIMARY KEY,
  batch_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  person_id INTEGER NOT NULL REFERENCES people(id),
  shown TEXT NOT NULL,
  expires TEXT NOT NULL,
  lives INTEGER NOT NULL CHECK (lives IN (0, 1)),
  UNIQUE (batch_id, position, person_id),
  FOREIGN KEY (batch_id, position) REFERENCES slots(batch_id, position)
) STRICT""",
    "CREATE INDEX leases_by_end ON leases(expires) WHERE lives",
    "CREATE INDEX leases_by_person ON leases(person_id, batch_id) WHERE lives",
    "CREATE INDEX leases_lapsed ON leases(person_id, batch_id) WHERE NOT lives",
    # Before the position `next` of a batch nothing is open for a person; `taken` counts what they were given.
    """CREATE TABLE cursors (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  next INTEGER NOT NULL,
  taken INTEGER NOT NULL,
  PRIMARY KEY (batch_id, person_id)
) STRICT, WITHOUT ROWID""",
    # How many labels of a person that stand were given on a day (UTC), and in what time without pauses.
    """CREATE TABLE work (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  day TEXT NOT NULL,
  labels INTEGER NOT NULL,
  skips INTEGER NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (batch_id, person_id, day)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX work_by_day ON work(person_id, day)",
    "CREATE INDEX heads_by_item ON heads(item_id, verb, person_id)",
    "CREATE INDEX snapshot_examples_by_example ON snapshot_examples(example_id, snapshot_id)",
    """INSERT INTO slots (batch_id, position, item_id, room)
  SELECT batch_id, position, item_id,
    1 - (SELECT count(*) FROM heads h WHERE h.item_id = b.item_id AND h.verb <> 'skip')
  FROM batch_prompts b WHERE item_id IS NOT NULL""",
    f"""INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT s.batch_id, h.person_id, substr(e.created, 1, 10) AS day, sum(h.verb <> 'skip'),
    sum(h.verb = 'skip'), sum({_SECONDS})
  FROM slots s JOIN heads h ON h.item_id = s.item_id JOIN label_events e ON e.id = h.event_id
  GROUP BY s.batch_id, h.person_id, day""",
    f"""CREATE TRIGGER prompts_have_slots AFTER INSERT ON batch_prompts WHEN new.item_id IS NOT NULL
BEGIN {_SLOT} END""",
    f"""CREATE TRIGGER answers_make_slots AFTER UPDATE OF item_id ON batch_prompts
WHEN old.item_id IS NULL AND new.item_id IS NOT NULL
BEGIN {_SLOT} END""",
    """CREATE TRIGGER overlap_is_room AFTER UPDATE OF overlap ON batches WHEN old.overlap <> new.overlap
BEGIN UPDATE slots SET room = room + new.overlap - old.overlap WHERE batch_id = new.id; END""",
    # Room for one more opens the item to everybody.
    """CREATE TRIGGER slots_open_again AFTER UPDATE OF room, gold_verb ON slots
WHEN new.room > 0 AND new.gold_verb IS NULL AND (old.room <= 0 OR old.gold_verb IS NOT NULL)
BEGIN UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND next > new.position; END""",
    # A label takes its room before its lease gives it back, so that the item is open at no moment.
    f"""CREATE TRIGGER labels_take_room AFTER INSERT ON heads
BEGIN {_HEAD_GIVES.format(sign="-", row="new")}
DELETE FROM leases WHERE person_id = new.person_id
  AND (batch_id, position) IN (SELECT batch_id, position FROM slots WHERE item_id = new.item_id);
{_COUNTED} END""",
    f"""CREATE TRIGGER undone_labels_give_room AFTER DELETE ON heads
BEGIN {_HEAD_GIVES.format(sign="+", row="old")}
UPDATE cursors SET next = s.position FROM slots s WHERE s.item_id = old.item_id
  AND cursors.batch_id = s.batch_id AND cursors.person_id = old.person_id AND next > s.position;
{_UNCOUNTED} END""",
    """CREATE TRIGGER leases_take_room AFTER INSERT ON leases WHEN new.lives
BEGIN UPDATE slots SET room = room - 1 WHERE batch_id = new.batch_id AND position = new.position; END""",
    """CREATE TRIGGER leases_live_again AFTER UPDATE OF lives ON leases WHEN new.lives > old.lives
BEGIN UPDATE slots SET room = room - 1 WHERE batch_id = new.batch_id AND position = new.position; END""",
    """CREATE TRIGGER leases_end AFTER UPDATE OF lives ON leases WHEN new.lives < old.lives
BEGIN UPDATE slots SET room = room + 1 WHERE batch_id = new.batch_id AND position = new.position;
UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND person_id = new.person_id
  AND next > new.position; END""",
    """CREATE TRIGGER leases_go AFTER DELETE ON leases WHEN old.lives
BEGIN UPDATE slots SET room = room + 1 WHERE batch_id = old.batch_id AND position = old.position; END""",
    """CREATE TABLE label_comments (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  comment TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX label_comments_by_event ON label_comments(event_id)",
    *append_only("label_comments"),
    # Who did what, and from where.
    """CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  person_id INTEGER REFERENCES people(id),
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  address TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    *append_only("audit"),
    # Whose conversation it is, and nobody else's to see; NULL: the person's at this machine.
    "ALTER TABLE conversations ADD COLUMN person_id INTEGER REFERENCES people(id)",
    "CREATE INDEX conversations_by_person ON conversations(person_id, archived, updated)",
    "DROP INDEX conversations_by_activity",
)
