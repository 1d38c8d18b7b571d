"""The big home is one that labelling could have made."""

from pathlib import Path

from big_home import make

from tuner_app.store import Store, examples, labels


def test_what_the_labels_feed_is_what_is_stored(tmp_path: Path) -> None:
    home = make(tmp_path / "home", 200)
    assert make(tmp_path / "home", 200) == home
    store = Store.open(home.database)
    hashes = [row["hash"] for row in store.query("SELECT hash FROM items")]
    assert len(hashes) == len(labels.heads(store, hashes)) == 200
    given = [(item, labels.history(store, item.hash)) for item in labels.items(store, hashes)]
    assert [events[-1] for _, events in given] == [labels.head(store, item.hash) for item, _ in given]
    fed = {example for item, events in given for example in labels.fed(item, events[-1])}
    stored = {row.example for kind in ("pair", "rated") for row in examples.listed(store, kind, limit=1000)}
    assert fed == stored
    assert labels.pending(store) == []
    item = labels.item_for_single(store, given[0][0].prompt, given[0][0].replies[0])
    assert item == given[0][0], "its content gives it its identity"
    store.close()
