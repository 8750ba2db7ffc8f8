/** Main thread of the supervisor. All its processes, asked together. */
import type { Hub } from '../observe/hub.js';
import type { AnswerTo, Question } from '../observe/questions.js';
import type { ProcessHandle } from './process-handle.js';

export class ProcessGroup extends Set<ProcessHandle> {
  /** Those that may be given connections, the oldest first. */
  findServing(): readonly ProcessHandle[] {
    return [...this].filter(({ isServing }) => isServing);
  }

  /** Asks each what it is at, and tells the hub. */
  async look(hub: Hub): Promise<void> {
    await Promise.all([...this].map((each) => each.look()));
    for (const each of this) if (each.snapshot !== null) hub.update(each, each.snapshot);
  }

  /** The answers of those that gave one. */
  async ask<Q extends Question>(question: Q): Promise<ReadonlyMap<unknown, AnswerTo<Q>>> {
    const asked = [...this].map(async (each) => [each, await each.ask(question)] as const);
    const answers = await Promise.all(asked);
    return new Map(answers.flatMap(([each, answer]) => (answer === null ? [] : [[each, answer]])));
  }
}
