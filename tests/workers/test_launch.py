"""What is checked before a run, and what is written down."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from places import Place

from engine import cards
from engine.errors import UserError
from engine.examples import Message, Pair, Prompt, Rated
from engine.spec import Adapter, Spec, method_named
from tuner_app import bases, launch, prospects
from tuner_app.store import Selection, examples, models, runs, snapshots


@pytest.mark.parametrize(("kind", "each"), [("pair", 4 + 3 + 1), ("rated", 4 + 2), ("prompt", 4)])
def test_tokens_are_estimated_from_bytes_since_a_chinese_character_is_nearly_one(
    place: Place, kind: str, each: int
) -> None:
    prompt = (Message("user", "牛" * 5 + "x"),)  # 16 bytes: 4 tokens
    rows = [Pair(prompt, "y" * 12, "y" * 4), Rated(prompt, "\ud800" + "y" * 5, good=True)]
    examples.add(place.store, [(row, 1) for row in rows], source="cows")
    found = prospects.prospect(place.store, kind, Selection.parse("source:cows"))
    assert (found.found.examples, found.tokens_each) == (1, each)
    assert f"About {each} tokens (an estimate: 4 bytes each)" in str(found)


def test_a_run_is_written_down_whole(place: Place) -> None:
    run = launch.prepare(
        place.store, place.home, place.plan("dpo", seed=5, adapter=Adapter(rank=4, alpha=8), precision="nf4")
    )
    spec = Spec.from_json(run.spec)
    assert (spec.method, spec.seed, spec.adapter.rank, spec.precision) == ("dpo", 5, 4, "nf4")
    assert spec.base == str(place.model)
    assert spec.options["epochs"] == 12
    assert spec.options["batch_size"] == 8  # defaults are written down too: they may change
    assert spec.template is None
    assert (run.status, run.name) == ("queued", "dpo-1")
    assert len(list(snapshots.rows(place.store, run.snapshot_hash))) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "no training method “magic”"),
        ({"options": {"epoch": 3}}, "Unknown sft option “epoch”"),
        ({"options": {"epochs": "many"}}, "takes a whole number"),
        ({"options": {"epochs": 0}}, "out of range"),
        ({"precision": "int3"}, "no precision “int3”"),
        ({"adapter": Adapter(rank=0)}, "at least 1"),
        ({"adapter": Adapter(dropout=1.0)}, "dropout"),
        ({"adapter": Adapter(kind="houlsby")}, "is one of lora, .*full, not “houlsby”"),
        ({"adapter": Adapter(kind="full"), "precision": "nf4"}, "4-bit base cannot be trained"),
        ({"parent": "nobody"}, "no adapter “nobody”.*"),
        ({"name": "base"}, "what chat calls the base"),
        ({"name": "../x"}, "cannot be a run's name"),
        ({"base": "/nowhere/at/all"}, "There is no model folder /nowhere/at/all"),
        ({"base": "./nowhere"}, "There is no model folder"),
        (
            {"selection": Selection(limit=1)},
            r"SFT learns from demonstrations: it takes at least 2, and there is 1 here, 4",
        ),
        ({"selection": Selection(origin="labels")}, "there are 0 here, 4 without this selection"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_written(place: Place, change: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        launch.prepare(place.store, place.home, place.plan(**change))
    assert runs.listed(place.store) == []


def test_too_little_data_says_where_more_comes_from(place: Place, tmp_path: Path) -> None:
    from places import Home, Store

    home = Home(tmp_path / "empty")
    home.create()
    store = Store.open(home.database, migrate=True)
    with pytest.raises(
        UserError, match="DPO learns from pairs: it takes at least 2, and there are 0"
    ) as caught:
        launch.prepare(store, home, place.plan("dpo"))
    assert "Choose between two answers" in caught.value.do
    store.close()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights"),
        ("tokenizer.json", "has no tokenizer"),
    ],
)
def test_a_folder_that_is_no_model(place: Place, tmp_path: Path, missing: str, message: str) -> None:
    folder = tiny.save_model(tmp_path / "m")
    (folder / missing).unlink()
    with pytest.raises(UserError, match=message):
        launch.prepare(place.store, place.home, place.plan(base=str(folder)))


def test_pickle_weights_alone_are_refused(place: Place, tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"only pickle weights \(pytorch_model.bin\)") as caught:
        launch.prepare(place.store, place.home, place.plan(base=str(folder)))
    assert "convert" in caught.value.do


def test_a_parent_of_another_base_is_refused(place: Place, tmp_path: Path) -> None:
    parent = place.trained(place.plan())
    other = tiny.save_model(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match=f"{parent.name} was trained on tiny, not on other"):
        launch.prepare(place.store, place.home, place.plan(parent=parent.name, base=str(other)))


def test_one_base_under_all_its_names_and_two_folders_of_one_name(place: Place, tmp_path: Path) -> None:
    row = bases.register(place.store, str(place.model))
    assert row.name == "tiny"
    assert bases.register(place.store, "tiny") == row
    assert bases.register(place.store, str(place.model) + "/.") == row
    namesake = tiny.save_model(tmp_path / "tiny")
    assert bases.register(place.store, str(namesake)).name == "tiny-2"
    hub = bases.register(place.store, "someone/model")
    assert (hub.name, hub.source) == ("someone/model", "someone/model")
    assert len(models.bases(place.store)) == 3


def test_a_model_without_a_template_gets_one_that_a_person_can_change(place: Place, tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "plain", template=False)
    plan = place.plan(base=str(folder))
    first = Spec.from_json(launch.prepare(place.store, place.home, plan).spec)
    file = place.home.templates / "plain.jinja"
    assert first.template == file.read_text(encoding="utf-8") != ""
    file.write_text("{{ messages }}")
    assert Spec.from_json(launch.prepare(place.store, place.home, plan).spec).template == "{{ messages }}"


def adapter(
    place: Place, method: str, name: str, base: str = "", kind: str = "lora", parent: str = ""
) -> None:
    """An adapter as a run of `method` leaves it."""
    on = bases.register(place.store, base or str(place.model))
    snapshot = snapshots.take(place.store, "pair")
    spec = Spec(method, on.source, adapter=Adapter(kind)).to_json()
    run = runs.create(place.store, name=name, spec=spec, base_id=on.id, snapshot_hash=snapshot.hash)
    place.home.adapter(name).mkdir(parents=True)
    before = models.adapter(place.store, parent)
    models.add_adapter(
        place.store,
        name=name,
        base_id=on.id,
        run_id=run.id,
        parent_id=before.id if before else None,
        folder=f"runs/{name}/adapter",
        hash=name,
    )


def test_a_full_fine_tuning_is_not_gone_on_from_over_four_bits(place: Place) -> None:
    adapter(place, "sft", "whole", kind="full")
    adapter(place, "sft", "more", parent="whole")  # what goes on from a full one is a full one
    models.rename(place.store, models.adapter(place.store, "whole"), "entire")  # type: ignore[arg-type]
    adapter(place, "sft", "small")
    with pytest.raises(UserError, match="4-bit base"):
        launch.prepare(place.store, place.home, place.plan(parent="more", precision="nf4"))
    launch.prepare(place.store, place.home, place.plan(parent="more"))
    full = Adapter(kind="full")  # counts for nothing: the run keeps the parent's kind
    launch.prepare(place.store, place.home, place.plan(parent="small", adapter=full, precision="nf4"))


def test_a_full_reward_model_does_not_lead_over_four_bits(place: Place, needy: str) -> None:
    adapter(place, "reward", "judge", kind="full")
    with pytest.raises(UserError, match="4-bit base"):
        launch.prepare(place.store, place.home, place.plan(needy, precision="nf4"))
    launch.prepare(place.store, place.home, place.plan(needy))


def test_settings_of_a_run_whose_models_were_deleted(place: Place, needy: str) -> None:
    adapter(place, "reward", "judge")
    adapter(place, "sft", "warm")
    run = launch.prepare(place.store, place.home, place.plan(needy, reward="judge", parent="warm"))
    models.rename(place.store, models.adapter(place.store, "warm"), "hot")  # type: ignore[arg-type]
    plan = launch.again(place.store, run)
    assert (plan.base, plan.parent, plan.reward) == ("tiny", "hot", "judge")
    for made in runs.listed(place.store):
        runs.set_status(place.store, made.id, "done")
    for name, message in [("judge", "The reward model of needy-1"), ("hot", "The adapter at the start of")]:
        models.remove(place.store, models.adapter(place.store, name))  # type: ignore[arg-type]
        with pytest.raises(UserError, match=f"{message}.* has been deleted since"):
            launch.again(place.store, run if name == "judge" else replace(run, reward_id=None))
    models.remove(place.store, models.bases(place.store)[0])
    with pytest.raises(UserError, match="The base of needy-1 has been deleted since"):
        launch.again(place.store, run)


@pytest.fixture
def needy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method that learns from prompts, and so needs a reward model."""
    dpo = method_named("dpo")
    needy = replace(dpo, name="needy", learns_from=Prompt)
    monkeypatch.setattr(launch, "method_named", {"needy": needy, "dpo": dpo}.get)
    return needy.name


def test_the_newest_reward_model_of_the_base_leads(place: Place, needy: str, tmp_path: Path) -> None:
    other = tiny.save_model(tmp_path / "other", seed=1)
    adapter(place, "reward", "old")
    adapter(place, "reward", "new")
    adapter(place, "reward", "foreign", str(other))
    adapter(place, "sft", "chatty")
    run = launch.prepare(place.store, place.home, place.plan(needy))
    assert run.spec["reward"] == "runs/new/adapter"
    named = launch.prepare(place.store, place.home, place.plan(needy, reward="old"))
    assert named.spec["reward"] == "runs/old/adapter"
    assert named.reward_id == models.adapter(place.store, "old").id  # type: ignore[union-attr]
    prompts = list(snapshots.rows(place.store, run.snapshot_hash))
    assert len(prompts) == 4
    assert all(isinstance(prompt, Prompt) for prompt in prompts)
    with pytest.raises(UserError, match="chatty is no reward model") as caught:
        launch.prepare(place.store, place.home, place.plan(needy, reward="chatty"))
    assert caught.value.do == "Choose one of: old, new."
    with pytest.raises(UserError, match="no reward model “nobody”"):
        launch.prepare(place.store, place.home, place.plan(needy, reward="nobody"))
    with pytest.raises(UserError, match="foreign was trained on other, not on"):
        launch.prepare(place.store, place.home, place.plan(needy, reward="foreign"))
    place.home.adapter("new").rmdir()
    with pytest.raises(UserError, match="files of the adapter new are gone"):
        launch.prepare(place.store, place.home, place.plan(needy))


def test_a_reward_model_of_a_run_that_failed_does_not_lead_before_others(place: Place, needy: str) -> None:
    adapter(place, "reward", "good")
    adapter(place, "reward", "diverged")
    runs.set_status(place.store, place.run("diverged").id, "failed", error="The loss is no longer a number.")
    run = launch.prepare(place.store, place.home, place.plan(needy))
    assert run.spec["reward"] == "runs/good/adapter"


def test_a_reward_model_at_chance_leads_only_if_it_is_trusted(place: Place) -> None:
    adapter(place, "reward", "judge")
    card = {"reward": {"mean": 0.0, "std": 1.0, "held_out": None}}
    (place.home.adapter("judge") / cards.CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"judge/adapter is not known to be better than chance") as caught:
        launch.prepare(place.store, place.home, place.plan("ppo", options={}))
    assert "set trust_reward to go on" in caught.value.do
    assert [run.name for run in runs.listed(place.store)] == ["judge"]
    assert launch.prepare(
        place.store, place.home, place.plan("ppo", options={"trust_reward": True})
    ).reward_id


def test_without_a_reward_model_it_is_said_how_to_make_one(place: Place, needy: str) -> None:
    with pytest.raises(UserError, match=r"NEEDY needs a reward model of .*, and there is none") as caught:
        launch.prepare(place.store, place.home, place.plan(needy))
    assert "tuner train reward" in caught.value.do


def test_a_reward_model_is_refused_where_none_is_needed(place: Place) -> None:
    adapter(place, "reward", "judge")
    with pytest.raises(UserError, match="DPO takes no reward model"):
        launch.prepare(place.store, place.home, place.plan("dpo", reward="judge"))


def test_a_reward_model_is_gone_on_from_by_reward_models_alone(place: Place) -> None:
    adapter(place, "reward", "judge")
    adapter(place, "sft", "chatty")
    with pytest.raises(UserError, match="judge is a reward model") as caught:
        launch.prepare(place.store, place.home, place.plan("dpo", parent="judge"))
    assert caught.value.do == "Adapters: chatty."
    made = launch.prepare(place.store, place.home, place.plan("reward", parent="judge", options={}))
    assert made.spec["parent"] == "runs/judge/adapter"
