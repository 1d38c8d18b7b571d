"""The list of conversations, page by page, and what is found in them."""

from tuner_app.store import Store, chat_search, chats
from tuner_app.store.rows import Conversation


def talk(store: Store, title: str, *said: str) -> Conversation:
    """A conversation whose messages follow one another."""
    chat = chats.start(store, title=title)
    for text in said:
        tip = chats.get(store, chat.id).tip_id
        chats.add(store, chat.id, role="user", content=text, parent_id=tip)
    return chats.get(store, chat.id)


def titles(store: Store, search: str = "", **which: bool) -> list[str]:
    found = chat_search.find(store, search, **which)  # type: ignore[arg-type]
    assert len(found) == chat_search.count(store, search, **which)
    return [row.conversation.title for row in found]


def test_pages_follow_one_another(store: Store) -> None:
    for number in range(7):
        talk(store, str(number))
    first = chat_search.find(store, limit=3)
    second = chat_search.find(store, limit=3, after=first[-1].conversation)
    third = chat_search.find(store, limit=3, after=second[-1].conversation)
    assert [row.conversation.title for row in (*first, *second, *third)] == list("6543210")
    assert chat_search.find(store, limit=3, after=third[-1].conversation) == []


def test_a_part_of_a_word_is_found_in_messages_and_titles(store: Store) -> None:
    cows = talk(store, "about milk", "Cows say moo.", "And COWS eat grass, don't they?")
    talk(store, "Cowboys", "hello")
    talk(store, "other", "nothing of the kind")
    assert titles(store, "cow") == ["Cowboys", "about milk"]
    by_title, by_text = chat_search.find(store, "cow")
    assert (by_title.message_id, by_title.excerpt) == (None, ("", "", ""))
    assert by_text.message_id == cows.tip_id, "the newest message that holds it"
    assert by_text.excerpt == ("And ", "COW", "S eat grass, don't they?")
    assert titles(store, "co") == ["Cowboys"], "two letters: titles alone"
    assert titles(store, "s eat gr") == ["about milk"]


def test_what_is_searched_for_is_a_text_and_no_pattern(store: Store) -> None:
    talk(store, "100% sure", 'she said "yes" AND left')
    talk(store, "100 percent", "你好，世界。牛说什么？")
    assert titles(store, "0%") == ["100% sure"]
    assert titles(store, "_") == []
    assert titles(store, '"yes" AND') == ["100% sure"]
    assert titles(store, "世界。牛") == ["100 percent"]
    for nasty in ('"', '""""', "NEAR(", "a\0bc", "*:^", "-yes", "' OR 1=1"):
        assert titles(store, nasty) in ([], ["100% sure"])


def test_long_messages_give_a_short_excerpt(store: Store) -> None:
    talk(store, "long", "x" * 100_000 + " needle " + "y" * 100_000)
    (row,) = chat_search.find(store, "needle")
    before, hit, after = row.excerpt
    assert hit == "needle"
    assert before.endswith("x ")
    assert len(before) < 100 > len(after)


def test_what_is_archived_is_listed_apart(store: Store) -> None:
    gone = talk(store, "gone", "some cows")
    talk(store, "here", "more cows")
    chats.archive(store, gone.id)
    assert titles(store) == titles(store, "cows") == ["here"]
    assert titles(store, archived=True) == titles(store, "cows", archived=True) == ["gone"]
