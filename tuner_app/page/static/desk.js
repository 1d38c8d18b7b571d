// What all parts of the page know: who is here, what is before them, and how it stands.

import { keyOf } from "./work.js";

export const desk = {
  me: null,
  kept: null,
  keys: null,
  outbox: null,
  work: null,
  draft: {}, // of the task on the screen: {tags, comment, texts: {place: text}}
  editing: null, // the place of the reply that is being corrected
  asked: false, // "correct which answer?"
  drawn: true, // the task on the screen has been painted, and can be judged
  differing: false, // words that differ are marked
  undoing: false, // what is before this window is being asked for
  idle: false, // another window of this person has taken over
  trouble: null, // why there is no more work, a Failure
  times: [], // when labels were given
};

export const draftName = (task) => `draft.${keyOf(task)}`;
