/** Main thread. What requests were last seen to do with the GIL that all workers share: by their paths, and all together. */

/** What a request was seen to do. */
export interface Seen {
  /** For how much of its time it computed, with the GIL or without: 1 computes, 0 waits for something else. */
  readonly busy: number;
  /** How long it computed, in milliseconds. */
  readonly computeMs: number;
}

/** What is known of requests of one kind. Updated in place: who runs such a request counts by what is known now. */
export interface Manner {
  /** For how much of its time a request wants the GIL: 1 computes under it, 0 waits, or computes without. */
  readonly share: number;
  /** For how much of its time it computes without the GIL, as hashes, compression and images do. */
  readonly native: number;
  /** How long it computes, with the GIL or without, in milliseconds. */
  readonly computeMs: number;
}

/** While nothing is known at all: two requests at once show most. */
export const FIRST_GUESS: Manner = { share: 2 / 3, native: 0, computeMs: 0 };
/** The last request's part in the mean: after six of another manner less than a fifth is left of what was known. */
const WEIGHT = 1 / 4;
/** Paths that are remembered, and as many folders; the oldest makes room for one more. */
const MAX_REMEMBERED = 1024;
/** A longer path is known by its folder only. Characters. */
const MAX_PATH = 256;

class Mean implements Manner {
  // Read for every worker whenever one is chosen, so that they are kept rather than found out each time.
  share = 0;
  native = 0;
  computeMs: number;
  #busy: number;
  /** How often one that computes was found to hold the GIL. Nobody has looked yet: as nearly all do. */
  #held = 1;

  constructor({ busy, computeMs }: Seen) {
    this.#busy = busy;
    this.computeMs = computeMs;
    this.#divide();
  }

  add({ busy, computeMs }: Seen): void {
    this.#busy += (busy - this.#busy) * WEIGHT;
    this.computeMs += (computeMs - this.computeMs) * WEIGHT;
    this.#divide();
  }

  addLook(isHeld: boolean): void {
    this.#held += (Number(isHeld) - this.#held) * WEIGHT;
    this.#divide();
  }

  #divide(): void {
    this.share = Math.min(this.#busy, this.#held);
    this.native = this.#busy - this.share;
  }
}

/**
 * The path's own manner where it was seen before, else that of its folder (/users/7 does what /users/6 did), else that of
 * all requests. Shares are averaged, not times: one request in a hundred that waits long makes no waiter of the rest.
 */
export class Manners {
  readonly #byPath = new Map<string, Mean>();
  readonly #byFolder = new Map<string, Mean>();
  #all: Mean | null = null;

  /** What is known of a request by its target. */
  find(target: string): Manner {
    const path = withoutQuery(target);
    return this.#byPath.get(path) ?? this.#byFolder.get(folderOf(path)) ?? this.#all ?? FIRST_GUESS;
  }

  /** A request with this target was seen to do so. */
  learn(target: string, seen: Seen): void {
    const path = withoutQuery(target);
    if (this.#all === null) this.#all = new Mean(seen);
    else this.#all.add(seen);
    remember(this.#byFolder, folderOf(path), seen);
    remember(this.#byPath, path, seen);
  }

  /** While a request with this target computed, the GIL was held, or could be had. */
  learnHeld(target: string, isHeld: boolean): void {
    const path = withoutQuery(target);
    for (const mean of [this.#byPath.get(path), this.#byFolder.get(folderOf(path)), this.#all])
      mean?.addLook(isHeld);
  }
}

function remember(means: Map<string, Mean>, key: string, seen: Seen): void {
  const mean = means.get(key);
  if (mean !== undefined) {
    mean.add(seen);
    return;
  }
  if (key.length > MAX_PATH) return;
  if (means.size >= MAX_REMEMBERED) means.delete(means.keys().next().value as string);
  means.set(copy(key), new Mean(seen));
}

/** MANNER's word as numbers, or null where nobody measured. */
export function readManner(word: number): Seen | null {
  if (word === 0) return null;
  return { busy: (word & 1023) / 1023, computeMs: (word >> 10) / 1000 };
}

function withoutQuery(target: string): string {
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

/** "/users/7" ► "/users/" */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** A part of a string keeps the whole of it in memory, here a request's head. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
