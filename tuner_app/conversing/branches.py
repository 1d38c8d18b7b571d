"""The branches of a conversation: where they part, and which of them is shown."""

from tuner_app.store import Store, chats, labels, people
from tuner_app.store.rows import Message


def switch(store: Store, message: Message, by: int, *, person: str = people.ME) -> Message:
    """Move to the branch of the message before (-1) or after (1) this one, and tell that message."""
    with store.write():
        beside = chats.beside(store, message)
        place = [sibling.id for sibling in beside].index(message.id)
        other = beside[(place + by) % len(beside)]
        follow(store, other, person=person)
        return other


def stop_at(store: Store, message: Message) -> None:
    """Let the conversation end at a message: what follows it stays, on a branch of its own."""
    chats.set_tip(store, message.conversation_id, message.id)


def follow(store: Store, message: Message, *, person: str = people.ME) -> None:
    """Move to the branch through a message that was gone on with last, down to its end."""
    chats.set_tip(store, message.conversation_id, _end(store, message, person).id)


def go_to(store: Store, message_id: int, *, person: str = people.ME) -> None:
    """Move to a branch that holds a message, unless the conversation is on one."""
    with store.write():
        message = chats.message(store, message_id)
        if message not in chats.path(store, message.conversation_id):
            follow(store, message, person=person)


def _end(store: Store, message: Message, person: str) -> Message:
    question = chats.latest_question(store, message.id)
    if question is None:
        return message
    answers = chats.answers(store, question.id)
    passed_over = _passed_over(store, answers, person)
    kept = [answer for answer in answers if answer.content not in passed_over] or answers
    return kept[-1] if kept else question


def _passed_over(store: Store, answers: list[Message], person: str) -> set[str]:
    """The texts of answers beside which the person chose another one."""
    events = labels.on_messages(store, [answer.id for answer in answers], person)
    chosen = {e.item_hash: e.value["reply"] for found in events.values() for e in found if e.verb == "choose"}
    return {pair.replies[1 - chosen[pair.hash]].content for pair in labels.items(store, chosen)}
