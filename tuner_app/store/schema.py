"""The tables, version by version. What is released is never edited, only changed by a version after it."""

_TABLES = (
    """CREATE TABLE people (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('human', 'program', 'model')),
  created TEXT NOT NULL
) STRICT""",
    """CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  system TEXT NOT NULL,
  created TEXT NOT NULL,
  updated TEXT NOT NULL,
  tip_id INTEGER REFERENCES messages(id),
  archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1))
) STRICT""",
    "CREATE INDEX conversations_by_activity ON conversations(archived, updated)",
    """CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  conversation_id INTEGER NOT NULL REFERENCES conversations(id),
  parent_id INTEGER REFERENCES messages(id),
  role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
  content TEXT NOT NULL,
  model TEXT NOT NULL,
  adapter TEXT NOT NULL,
  decoding TEXT NOT NULL,
  seed INTEGER,
  finish TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX messages_by_conversation ON messages(conversation_id)",
    "CREATE INDEX messages_by_parent ON messages(parent_id)",
    # What examples say: `question` is the same for a pair and its reverse, or for a reply rated up and
    # down; `answer` then differs.
    """CREATE TABLE examples (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('demonstration', 'pair', 'rated')),
  question INTEGER,
  answer INTEGER,
  body TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX examples_by_kind ON examples(kind)",
    "CREATE INDEX examples_by_question ON examples(kind, question, answer)",
    """CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL
) STRICT""",
    """CREATE TABLE imports (
  source_id INTEGER NOT NULL REFERENCES sources(id),
  kind TEXT NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  line INTEGER NOT NULL,
  PRIMARY KEY (source_id, kind, example_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX imports_by_example ON imports(example_id)",
    """CREATE TABLE items (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('single', 'pair')),
  body TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX items_by_time ON items(created)",
    """CREATE TABLE item_messages (
  item_id INTEGER NOT NULL REFERENCES items(id),
  position INTEGER NOT NULL,
  message_id INTEGER NOT NULL REFERENCES messages(id),
  PRIMARY KEY (item_id, position)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX item_messages_by_message ON item_messages(message_id)",
    # The reference of an undo is checked at the commit, so that two databases' events merge in any order.
    """CREATE TABLE label_events (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  item_id INTEGER NOT NULL REFERENCES items(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  verb TEXT NOT NULL
    CHECK (verb IN ('choose', 'tie', 'both_bad', 'good', 'bad', 'correct', 'skip', 'undo')),
  value TEXT NOT NULL,
  shown TEXT NOT NULL,
  undoes TEXT REFERENCES label_events(uid) DEFERRABLE INITIALLY DEFERRED,
  created TEXT NOT NULL,
  CHECK ((verb = 'undo') = (undoes IS NOT NULL))
) STRICT""",
    "CREATE INDEX label_events_by_item ON label_events(item_id, person_id)",
    "CREATE INDEX label_events_by_person ON label_events(person_id, created, uid)",
    "CREATE INDEX label_events_undone ON label_events(undoes) WHERE undoes IS NOT NULL",
    """CREATE TABLE heads (
  person_id INTEGER NOT NULL REFERENCES people(id),
  item_id INTEGER NOT NULL REFERENCES items(id),
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  verb TEXT NOT NULL,
  PRIMARY KEY (person_id, item_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX heads_by_event ON heads(event_id)",
    "CREATE INDEX heads_by_verb ON heads(person_id, verb)",
    # What a label gives to training.
    """CREATE TABLE label_examples (
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  kind TEXT NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  PRIMARY KEY (event_id, kind, example_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX label_examples_by_example ON label_examples(example_id)",
    """CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  rows INTEGER NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    """CREATE TABLE snapshot_examples (
  snapshot_id INTEGER NOT NULL REFERENCES snapshots(id),
  position INTEGER NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  PRIMARY KEY (snapshot_id, position)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE snapshot_labels (
  snapshot_id INTEGER NOT NULL REFERENCES snapshots(id),
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  PRIMARY KEY (snapshot_id, event_id)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX snapshot_labels_by_event ON snapshot_labels(event_id)",
    """CREATE TABLE bases (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created TEXT NOT NULL,
  UNIQUE (source, fingerprint)
) STRICT""",
    """CREATE TABLE adapters (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE COLLATE NOCASE,
  base_id INTEGER NOT NULL REFERENCES bases(id),
  parent_id INTEGER REFERENCES adapters(id),
  run_id INTEGER REFERENCES runs(id),
  folder TEXT NOT NULL,
  hash TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    # Names become folders, which some file systems compare without case.
    """CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE COLLATE NOCASE,
  method TEXT NOT NULL,
  spec TEXT NOT NULL,
  base_id INTEGER NOT NULL REFERENCES bases(id),
  parent_id INTEGER REFERENCES adapters(id),
  snapshot_hash TEXT NOT NULL REFERENCES snapshots(hash),
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'paused', 'stopped', 'done', 'failed')),
  request TEXT NOT NULL CHECK (request IN ('', 'stop', 'pause')),
  pid INTEGER,
  error TEXT NOT NULL,
  versions TEXT NOT NULL,
  created TEXT NOT NULL,
  started TEXT,
  ended TEXT
) STRICT""",
    "CREATE INDEX runs_by_snapshot ON runs(snapshot_hash)",
    "CREATE INDEX runs_by_parent ON runs(parent_id)",
    "CREATE INDEX adapters_by_run ON adapters(run_id)",
    """CREATE TABLE run_events (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX run_events_by_run ON run_events(run_id)",
)

_APPEND_ONLY = (
    "messages",
    "examples",
    "items",
    "label_events",
    "label_examples",
    "snapshots",
    "snapshot_examples",
    "snapshot_labels",
    "run_events",
)


def _triggers(table: str) -> tuple[str, ...]:
    return tuple(
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for verb in ("update", "delete")
    )


FIRST = _TABLES + tuple(trigger for table in _APPEND_ONLY for trigger in _triggers(table))

SECOND = (
    # What each example asks, as 8 bytes of a SHA-256: reading it must not take reading what it says.
    """CREATE TABLE example_prompts (
  example_id INTEGER PRIMARY KEY REFERENCES examples(id),
  prompt INTEGER NOT NULL
) STRICT""",
    *_triggers("example_prompts"),
    # The reward model that a run was led by.
    "ALTER TABLE runs ADD COLUMN reward_id INTEGER REFERENCES adapters(id)",
    "CREATE INDEX runs_by_reward ON runs(reward_id)",
)

THIRD = (
    # How a conversation asks, where that is not as the settings say; the examples shown before its prompts,
    # by hash.
    "ALTER TABLE conversations ADD COLUMN decoding TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE conversations ADD COLUMN shots TEXT NOT NULL DEFAULT '[]'",
    # Three letters at a time, so that a part of a word is found, and Chinese, which has no spaces.
    "CREATE VIRTUAL TABLE message_text USING fts5(content, content='messages', content_rowid='id',"
    " tokenize='trigram')",
    "INSERT INTO message_text (message_text) VALUES ('rebuild')",
    """CREATE TRIGGER messages_are_found AFTER INSERT ON messages
BEGIN INSERT INTO message_text (rowid, content) VALUES (new.id, new.content); END""",
    # Why a label was given, in a word; the latest event of a label and a tag says whether it stands.
    """CREATE TABLE label_tags (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  tag TEXT NOT NULL,
  stands INTEGER NOT NULL CHECK (stands IN (0, 1)),
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX label_tags_by_event ON label_tags(event_id)",
    "CREATE INDEX label_tags_by_tag ON label_tags(tag)",
    *_triggers("label_tags"),
    """CREATE TABLE example_tags (
  example_id INTEGER NOT NULL REFERENCES examples(id),
  tag TEXT NOT NULL,
  PRIMARY KEY (example_id, tag)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX example_tags_by_tag ON example_tags(tag, example_id)",
    # A person's change of an example: into another one, or out of use (NULL). What it has taken out of use
    # is listed in `withdrawn`, until another edit leads back to it.
    """CREATE TABLE example_edits (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  becomes_id INTEGER REFERENCES examples(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  created TEXT NOT NULL
) STRICT""",
    "CREATE INDEX example_edits_by_example ON example_edits(example_id)",
    "CREATE INDEX example_edits_by_result ON example_edits(becomes_id)",
    *_triggers("example_edits"),
    """CREATE TABLE withdrawn (
  example_id INTEGER PRIMARY KEY REFERENCES examples(id),
  edit_id INTEGER NOT NULL REFERENCES example_edits(id)
) STRICT""",
    # Prompts whose answers are to be judged; `makers` are the one or two models that answer them.
    """CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('single', 'pair')),
  makers TEXT NOT NULL,
  decoding TEXT NOT NULL,
  created TEXT NOT NULL,
  archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1))
) STRICT""",
    """CREATE TABLE batch_prompts (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  item_id INTEGER REFERENCES items(id),
  failure TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX batch_prompts_by_item ON batch_prompts(item_id)",
    # `removed`: when its files were deleted; its row stays, because others descend from it.
    "ALTER TABLE bases ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE bases ADD COLUMN removed TEXT",
    "ALTER TABLE adapters ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE adapters ADD COLUMN removed TEXT",
)

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
    *_triggers("label_comments"),
    # Who did what, and from where.
    """CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  person_id INTEGER REFERENCES people(id),
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  address TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT""",
    *_triggers("audit"),
    # Whose conversation it is, and nobody else's to see; NULL: the person's at this machine.
    "ALTER TABLE conversations ADD COLUMN person_id INTEGER REFERENCES people(id)",
    "CREATE INDEX conversations_by_person ON conversations(person_id, archived, updated)",
    "DROP INDEX conversations_by_activity",
)
