"""Version 3: search, tags, changes of examples, batches of prompts, notes on models."""

from tuner_app.store.schema.triggers import append_only

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
    *append_only("label_tags"),
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
    *append_only("example_edits"),
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
