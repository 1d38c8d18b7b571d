"""Version 1: people, conversations, examples, labels, snapshots, models, runs."""

from tuner_app.store.schema.triggers import append_only

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

FIRST = _TABLES + tuple(trigger for table in _APPEND_ONLY for trigger in append_only(table))
