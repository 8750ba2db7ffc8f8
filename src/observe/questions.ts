/** What a process is asked that it does not tell by itself each second. Plain data, both ways. */
import type { ProfileAnswer, ProfileRequest } from './profile.js';
import type { ProcessStacks } from './stacks.js';

export type Question = readonly [kind: 'stacks'] | readonly [kind: 'profile', request: ProfileRequest];

interface Answers {
  readonly stacks: ProcessStacks;
  /** Null from a process that was not meant. */
  readonly profile: ProfileAnswer | null;
}

export type AnswerTo<Q extends Question> = Answers[Q[0]];

/** Python is waited for a second, and on a busy machine the thread that looks takes another to start. Milliseconds. */
const STACKS_PATIENCE_MS = 5000;

/** To begin with it, and to write it, on a busy machine. Milliseconds. */
const PROFILE_PATIENCE_MS = 20_000;

/** How long to wait for the answer: a process may be stuck. Milliseconds. */
export function patienceFor(question: Question): number {
  switch (question[0]) {
    case 'stacks':
      return STACKS_PATIENCE_MS;
    case 'profile':
      return question[1].seconds * 1000 + PROFILE_PATIENCE_MS;
  }
}
