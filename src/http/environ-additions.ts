/** Main thread. What the program around Lido adds to a request's environ. */
import { encodeAsLatin1 } from './environ.js';

/** Text for the environ by its keys, such as `{ REMOTE_USER: 'ada' }`. */
export type EnvironAdditions = Readonly<Record<string, string>>;

/** Additions as the environ holds them. Throws TypeError for what is no object of texts. */
export function encodeAdditions(additions: EnvironAdditions): EnvironAdditions {
  if (additions instanceof Promise) throw new TypeError('environ gave a promise, not an object of texts');
  if (typeof additions !== 'object' || additions === null)
    throw new TypeError(`environ gave ${additions}, not an object of texts`);
  const entries = Object.entries(additions).map(([key, value]) => {
    if (typeof value !== 'string') throw new TypeError(`environ: ${key} is ${typeof value}, not a string`);
    return [encodeAsLatin1(key), encodeAsLatin1(value)];
  });
  return Object.fromEntries(entries);
}
