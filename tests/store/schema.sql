CREATE INDEX adapters_by_run ON adapters(run_id);

CREATE INDEX batch_prompts_by_item ON batch_prompts(item_id);

CREATE INDEX batches_shared ON batches(priority DESC, id) WHERE shared AND NOT archived;

CREATE INDEX conversations_by_person ON conversations(person_id, archived, updated);

CREATE INDEX example_edits_by_example ON example_edits(example_id);

CREATE INDEX example_edits_by_result ON example_edits(becomes_id);

CREATE INDEX example_tags_by_tag ON example_tags(tag, example_id);

CREATE INDEX examples_by_kind ON examples(kind);

CREATE INDEX examples_by_question ON examples(kind, question, answer);

CREATE INDEX heads_by_event ON heads(event_id);

CREATE INDEX heads_by_item ON heads(item_id, verb, person_id);

CREATE INDEX heads_by_verb ON heads(person_id, verb);

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE INDEX imports_by_example ON imports(example_id);

CREATE INDEX item_messages_by_message ON item_messages(message_id);

CREATE INDEX items_by_time ON items(created);

CREATE INDEX label_comments_by_event ON label_comments(event_id);

CREATE INDEX label_events_by_item ON label_events(item_id, person_id);

CREATE INDEX label_events_by_person ON label_events(person_id, created, uid);

CREATE INDEX label_events_undone ON label_events(undoes) WHERE undoes IS NOT NULL;

CREATE INDEX label_examples_by_example ON label_examples(example_id);

CREATE INDEX label_tags_by_event ON label_tags(event_id);

CREATE INDEX label_tags_by_tag ON label_tags(tag);

CREATE INDEX leases_by_end ON leases(expires) WHERE lives;

CREATE INDEX leases_by_person ON leases(person_id, batch_id) WHERE lives;

CREATE INDEX leases_lapsed ON leases(person_id, batch_id) WHERE NOT lives;

CREATE INDEX links_by_person ON links(person_id);

CREATE INDEX messages_by_conversation ON messages(conversation_id);

CREATE INDEX messages_by_parent ON messages(parent_id);

CREATE INDEX run_events_by_run ON run_events(run_id);

CREATE INDEX runs_by_parent ON runs(parent_id);

CREATE INDEX runs_by_reward ON runs(reward_id);

CREATE INDEX runs_by_snapshot ON runs(snapshot_hash);

CREATE INDEX sessions_by_person ON sessions(person_id);

CREATE INDEX slots_by_item ON slots(item_id);

CREATE INDEX slots_gold ON slots(batch_id, position, item_id) WHERE gold_verb IS NOT NULL;

CREATE INDEX slots_open ON slots(batch_id, position, item_id) WHERE room > 0 AND gold_verb IS NULL;

CREATE INDEX snapshot_examples_by_example ON snapshot_examples(example_id, snapshot_id);

CREATE INDEX snapshot_labels_by_event ON snapshot_labels(event_id);

CREATE INDEX work_by_day ON work(person_id, day);

CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE TABLE adapters (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE COLLATE NOCASE,
  base_id INTEGER NOT NULL REFERENCES bases(id),
  parent_id INTEGER REFERENCES adapters(id),
  run_id INTEGER REFERENCES runs(id),
  folder TEXT NOT NULL,
  hash TEXT NOT NULL,
  created TEXT NOT NULL
, note TEXT NOT NULL DEFAULT '', removed TEXT) STRICT;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  person_id INTEGER REFERENCES people(id),
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  address TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE bases (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', removed TEXT,
  UNIQUE (source, fingerprint)
) STRICT;

CREATE TABLE batch_people (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  PRIMARY KEY (batch_id, person_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch_prompts (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  item_id INTEGER REFERENCES items(id),
  failure TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('single', 'pair')),
  makers TEXT NOT NULL,
  decoding TEXT NOT NULL,
  created TEXT NOT NULL,
  archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1))
, overlap INTEGER NOT NULL DEFAULT 1 CHECK (overlap >= 1), priority INTEGER NOT NULL DEFAULT 0, gold_rate REAL NOT NULL DEFAULT 0 CHECK (gold_rate BETWEEN 0 AND 1), guidelines TEXT NOT NULL DEFAULT '', shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1))) STRICT;

CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  system TEXT NOT NULL,
  created TEXT NOT NULL,
  updated TEXT NOT NULL,
  tip_id INTEGER REFERENCES messages(id),
  archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1))
, decoding TEXT NOT NULL DEFAULT '{}', shots TEXT NOT NULL DEFAULT '[]', person_id INTEGER REFERENCES people(id)) STRICT;

CREATE TABLE cursors (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  next INTEGER NOT NULL,
  taken INTEGER NOT NULL,
  PRIMARY KEY (batch_id, person_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE example_edits (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  becomes_id INTEGER REFERENCES examples(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  created TEXT NOT NULL
) STRICT;

CREATE TABLE example_prompts (
  example_id INTEGER PRIMARY KEY REFERENCES examples(id),
  prompt INTEGER NOT NULL
) STRICT;

CREATE TABLE example_tags (
  example_id INTEGER NOT NULL REFERENCES examples(id),
  tag TEXT NOT NULL,
  PRIMARY KEY (example_id, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE examples (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('demonstration', 'pair', 'rated')),
  question INTEGER,
  answer INTEGER,
  body TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE heads (
  person_id INTEGER NOT NULL REFERENCES people(id),
  item_id INTEGER NOT NULL REFERENCES items(id),
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  verb TEXT NOT NULL,
  PRIMARY KEY (person_id, item_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE imports (
  source_id INTEGER NOT NULL REFERENCES sources(id),
  kind TEXT NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  line INTEGER NOT NULL,
  PRIMARY KEY (source_id, kind, example_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE item_messages (
  item_id INTEGER NOT NULL REFERENCES items(id),
  position INTEGER NOT NULL,
  message_id INTEGER NOT NULL REFERENCES messages(id),
  PRIMARY KEY (item_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE items (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('single', 'pair')),
  body TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE label_comments (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  comment TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE label_events (
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
) STRICT;

CREATE TABLE label_examples (
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  kind TEXT NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  PRIMARY KEY (event_id, kind, example_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE label_tags (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  tag TEXT NOT NULL,
  stands INTEGER NOT NULL CHECK (stands IN (0, 1)),
  created TEXT NOT NULL
) STRICT;

CREATE TABLE leases (
  id INTEGER PRIMARY KEY,
  batch_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  person_id INTEGER NOT NULL REFERENCES people(id),
  shown TEXT NOT NULL,
  expires TEXT NOT NULL,
  lives INTEGER NOT NULL CHECK (lives IN (0, 1)),
  UNIQUE (batch_id, position, person_id),
  FOREIGN KEY (batch_id, position) REFERENCES slots(batch_id, position)
) STRICT;

CREATE TABLE links (
  hash TEXT PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES members(person_id),
  created TEXT NOT NULL,
  expires TEXT NOT NULL,
  used TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  person_id INTEGER PRIMARY KEY REFERENCES people(id),
  role TEXT NOT NULL CHECK (role IN ('annotator', 'reviewer', 'admin')),
  daily_limit INTEGER CHECK (daily_limit >= 0),
  revoked TEXT,
  created TEXT NOT NULL
) STRICT;

CREATE VIRTUAL TABLE message_text USING fts5(content, content='messages', content_rowid='id', tokenize='trigram');

CREATE TABLE 'message_text_config'(k PRIMARY KEY, v) WITHOUT ROWID;

CREATE TABLE 'message_text_data'(id INTEGER PRIMARY KEY, block BLOB);

CREATE TABLE 'message_text_docsize'(id INTEGER PRIMARY KEY, sz BLOB);

CREATE TABLE 'message_text_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;

CREATE TABLE messages (
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
) STRICT;

CREATE TABLE people (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('human', 'program', 'model')),
  created TEXT NOT NULL
) STRICT;

CREATE TABLE run_events (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
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
, reward_id INTEGER REFERENCES adapters(id)) STRICT;

CREATE TABLE sessions (
  hash TEXT PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES members(person_id),
  created TEXT NOT NULL,
  expires TEXT NOT NULL,
  ended TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE slots (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  position INTEGER NOT NULL,
  item_id INTEGER NOT NULL REFERENCES items(id),
  room INTEGER NOT NULL,
  gold_verb TEXT,
  gold_value TEXT,
  PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_examples (
  snapshot_id INTEGER NOT NULL REFERENCES snapshots(id),
  position INTEGER NOT NULL,
  example_id INTEGER NOT NULL REFERENCES examples(id),
  PRIMARY KEY (snapshot_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_labels (
  snapshot_id INTEGER NOT NULL REFERENCES snapshots(id),
  event_id INTEGER NOT NULL REFERENCES label_events(id),
  PRIMARY KEY (snapshot_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  rows INTEGER NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE withdrawn (
  example_id INTEGER PRIMARY KEY REFERENCES examples(id),
  edit_id INTEGER NOT NULL REFERENCES example_edits(id)
) STRICT;

CREATE TABLE work (
  batch_id INTEGER NOT NULL REFERENCES batches(id),
  person_id INTEGER NOT NULL REFERENCES people(id),
  day TEXT NOT NULL,
  labels INTEGER NOT NULL,
  skips INTEGER NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (batch_id, person_id, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER answers_make_slots AFTER UPDATE OF item_id ON batch_prompts
WHEN old.item_id IS NULL AND new.item_id IS NOT NULL
BEGIN INSERT INTO slots (batch_id, position, item_id, room)
  SELECT new.batch_id, new.position, new.item_id, overlap -
    (SELECT count(*) FROM heads WHERE item_id = new.item_id AND verb <> 'skip')
  FROM batches WHERE id = new.batch_id;
INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT new.batch_id, h.person_id, substr(e.created, 1, 10), h.verb <> 'skip', h.verb = 'skip', coalesce((SELECT seconds FROM (SELECT unixepoch(e.created, 'subsec')
      - unixepoch(before.created, 'subsec') AS seconds
    FROM label_events before WHERE before.person_id = e.person_id AND before.created < e.created
    ORDER BY before.created DESC LIMIT 1) WHERE seconds <= 300), 0)
  FROM heads h CROSS JOIN label_events e ON e.id = h.event_id WHERE h.item_id = new.item_id
  ON CONFLICT DO UPDATE SET labels = labels + excluded.labels, skips = skips + excluded.skips, seconds = seconds + excluded.seconds;
UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND next > new.position; END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;

CREATE TRIGGER example_edits_no_delete BEFORE DELETE ON example_edits
BEGIN SELECT RAISE(ABORT, 'example_edits is append-only'); END;

CREATE TRIGGER example_edits_no_update BEFORE UPDATE ON example_edits
BEGIN SELECT RAISE(ABORT, 'example_edits is append-only'); END;

CREATE TRIGGER example_prompts_no_delete BEFORE DELETE ON example_prompts
BEGIN SELECT RAISE(ABORT, 'example_prompts is append-only'); END;

CREATE TRIGGER example_prompts_no_update BEFORE UPDATE ON example_prompts
BEGIN SELECT RAISE(ABORT, 'example_prompts is append-only'); END;

CREATE TRIGGER examples_no_delete BEFORE DELETE ON examples
BEGIN SELECT RAISE(ABORT, 'examples is append-only'); END;

CREATE TRIGGER examples_no_update BEFORE UPDATE ON examples
BEGIN SELECT RAISE(ABORT, 'examples is append-only'); END;

CREATE TRIGGER items_no_delete BEFORE DELETE ON items
BEGIN SELECT RAISE(ABORT, 'items is append-only'); END;

CREATE TRIGGER items_no_update BEFORE UPDATE ON items
BEGIN SELECT RAISE(ABORT, 'items is append-only'); END;

CREATE TRIGGER label_comments_no_delete BEFORE DELETE ON label_comments
BEGIN SELECT RAISE(ABORT, 'label_comments is append-only'); END;

CREATE TRIGGER label_comments_no_update BEFORE UPDATE ON label_comments
BEGIN SELECT RAISE(ABORT, 'label_comments is append-only'); END;

CREATE TRIGGER label_events_no_delete BEFORE DELETE ON label_events
BEGIN SELECT RAISE(ABORT, 'label_events is append-only'); END;

CREATE TRIGGER label_events_no_update BEFORE UPDATE ON label_events
BEGIN SELECT RAISE(ABORT, 'label_events is append-only'); END;

CREATE TRIGGER label_examples_no_delete BEFORE DELETE ON label_examples
BEGIN SELECT RAISE(ABORT, 'label_examples is append-only'); END;

CREATE TRIGGER label_examples_no_update BEFORE UPDATE ON label_examples
BEGIN SELECT RAISE(ABORT, 'label_examples is append-only'); END;

CREATE TRIGGER label_tags_no_delete BEFORE DELETE ON label_tags
BEGIN SELECT RAISE(ABORT, 'label_tags is append-only'); END;

CREATE TRIGGER label_tags_no_update BEFORE UPDATE ON label_tags
BEGIN SELECT RAISE(ABORT, 'label_tags is append-only'); END;

CREATE TRIGGER labels_take_room AFTER INSERT ON heads
BEGIN UPDATE slots SET room = room - (new.verb <> 'skip') WHERE item_id = new.item_id;
DELETE FROM leases WHERE person_id = new.person_id
  AND (batch_id, position) IN (SELECT batch_id, position FROM slots WHERE item_id = new.item_id);
INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT s.batch_id, new.person_id, substr(e.created, 1, 10), new.verb <> 'skip', new.verb = 'skip',
    coalesce((SELECT seconds FROM (SELECT unixepoch(e.created, 'subsec')
      - unixepoch(before.created, 'subsec') AS seconds
    FROM label_events before WHERE before.person_id = e.person_id AND before.created < e.created
    ORDER BY before.created DESC LIMIT 1) WHERE seconds <= 300), 0)
  FROM slots s CROSS JOIN label_events e ON e.id = new.event_id WHERE s.item_id = new.item_id
  ON CONFLICT DO UPDATE SET labels = labels + excluded.labels, skips = skips + excluded.skips, seconds = seconds + excluded.seconds; END;

CREATE TRIGGER leases_end AFTER UPDATE OF lives ON leases WHEN new.lives < old.lives
BEGIN UPDATE slots SET room = room + 1 WHERE batch_id = new.batch_id AND position = new.position;
UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND person_id = new.person_id
  AND next > new.position; END;

CREATE TRIGGER leases_go AFTER DELETE ON leases WHEN old.lives
BEGIN UPDATE slots SET room = room + 1 WHERE batch_id = old.batch_id AND position = old.position; END;

CREATE TRIGGER leases_live_again AFTER UPDATE OF lives ON leases WHEN new.lives > old.lives
BEGIN UPDATE slots SET room = room - 1 WHERE batch_id = new.batch_id AND position = new.position; END;

CREATE TRIGGER leases_take_room AFTER INSERT ON leases WHEN new.lives
BEGIN UPDATE slots SET room = room - 1 WHERE batch_id = new.batch_id AND position = new.position; END;

CREATE TRIGGER messages_are_found AFTER INSERT ON messages
BEGIN INSERT INTO message_text (rowid, content) VALUES (new.id, new.content); END;

CREATE TRIGGER messages_no_delete BEFORE DELETE ON messages
BEGIN SELECT RAISE(ABORT, 'messages is append-only'); END;

CREATE TRIGGER messages_no_update BEFORE UPDATE ON messages
BEGIN SELECT RAISE(ABORT, 'messages is append-only'); END;

CREATE TRIGGER overlap_is_room AFTER UPDATE OF overlap ON batches WHEN old.overlap <> new.overlap
BEGIN UPDATE slots SET room = room + new.overlap - old.overlap WHERE batch_id = new.id; END;

CREATE TRIGGER prompts_have_slots AFTER INSERT ON batch_prompts WHEN new.item_id IS NOT NULL
BEGIN INSERT INTO slots (batch_id, position, item_id, room)
  SELECT new.batch_id, new.position, new.item_id, overlap -
    (SELECT count(*) FROM heads WHERE item_id = new.item_id AND verb <> 'skip')
  FROM batches WHERE id = new.batch_id;
INSERT INTO work (batch_id, person_id, day, labels, skips, seconds)
  SELECT new.batch_id, h.person_id, substr(e.created, 1, 10), h.verb <> 'skip', h.verb = 'skip', coalesce((SELECT seconds FROM (SELECT unixepoch(e.created, 'subsec')
      - unixepoch(before.created, 'subsec') AS seconds
    FROM label_events before WHERE before.person_id = e.person_id AND before.created < e.created
    ORDER BY before.created DESC LIMIT 1) WHERE seconds <= 300), 0)
  FROM heads h CROSS JOIN label_events e ON e.id = h.event_id WHERE h.item_id = new.item_id
  ON CONFLICT DO UPDATE SET labels = labels + excluded.labels, skips = skips + excluded.skips, seconds = seconds + excluded.seconds;
UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND next > new.position; END;

CREATE TRIGGER run_events_no_delete BEFORE DELETE ON run_events
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;

CREATE TRIGGER run_events_no_update BEFORE UPDATE ON run_events
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;

CREATE TRIGGER slots_open_again AFTER UPDATE OF room, gold_verb ON slots
WHEN new.room > 0 AND new.gold_verb IS NULL AND (old.room <= 0 OR old.gold_verb IS NOT NULL)
BEGIN UPDATE cursors SET next = new.position WHERE batch_id = new.batch_id AND next > new.position; END;

CREATE TRIGGER snapshot_examples_no_delete BEFORE DELETE ON snapshot_examples
BEGIN SELECT RAISE(ABORT, 'snapshot_examples is append-only'); END;

CREATE TRIGGER snapshot_examples_no_update BEFORE UPDATE ON snapshot_examples
BEGIN SELECT RAISE(ABORT, 'snapshot_examples is append-only'); END;

CREATE TRIGGER snapshot_labels_no_delete BEFORE DELETE ON snapshot_labels
BEGIN SELECT RAISE(ABORT, 'snapshot_labels is append-only'); END;

CREATE TRIGGER snapshot_labels_no_update BEFORE UPDATE ON snapshot_labels
BEGIN SELECT RAISE(ABORT, 'snapshot_labels is append-only'); END;

CREATE TRIGGER snapshots_no_delete BEFORE DELETE ON snapshots
BEGIN SELECT RAISE(ABORT, 'snapshots is append-only'); END;

CREATE TRIGGER snapshots_no_update BEFORE UPDATE ON snapshots
BEGIN SELECT RAISE(ABORT, 'snapshots is append-only'); END;

CREATE TRIGGER undone_labels_give_room AFTER DELETE ON heads
BEGIN UPDATE slots SET room = room + (old.verb <> 'skip') WHERE item_id = old.item_id;
UPDATE cursors SET next = s.position FROM slots s WHERE s.item_id = old.item_id
  AND cursors.batch_id = s.batch_id AND cursors.person_id = old.person_id AND next > s.position;
UPDATE work SET labels = labels - (old.verb <> 'skip'), skips = skips - (old.verb = 'skip')
  WHERE person_id = old.person_id AND batch_id IN (SELECT batch_id FROM slots WHERE item_id = old.item_id)
    AND day = (SELECT substr(created, 1, 10) FROM label_events WHERE id = old.event_id); END;
