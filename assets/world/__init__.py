"""A small world told by our own code: questions, right replies in four manners, and a judge.

It knows some animals and foods, numbers to twenty, opposites, days, colours, tiny stories and small talk,
and remembers what the user told it. Everything else lies outside, where the right reply is "I do not know".
"""

from assets.world.facts import LEFT_OUT
from assets.world.judge import Verdict, gold, judge
from assets.world.manners import RATES, Manner
from assets.world.reading import Question, understand
from assets.world.talk import Split, dialogues, ideal, questions, tell

__all__ = [
    "LEFT_OUT",
    "RATES",
    "Manner",
    "Question",
    "Split",
    "Verdict",
    "dialogues",
    "gold",
    "ideal",
    "judge",
    "questions",
    "tell",
    "understand",
]
