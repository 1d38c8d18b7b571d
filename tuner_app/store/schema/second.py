"""Version 2: what examples ask, and the reward model that leads a run."""

from tuner_app.store.schema.triggers import append_only

SECOND = (
    # What each example asks, as 8 bytes of a SHA-256: reading it must not take reading what it says.
    """CREATE TABLE example_prompts (
  example_id INTEGER PRIMARY KEY REFERENCES examples(id),
  prompt INTEGER NOT NULL
) STRICT""",
    *append_only("example_prompts"),
    # The reward model that a run was led by.
    "ALTER TABLE runs ADD COLUMN reward_id INTEGER REFERENCES adapters(id)",
    "CREATE INDEX runs_by_reward ON runs(reward_id)",
)
