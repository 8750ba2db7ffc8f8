// Worker thread. The wire string ► PEP 3333's environ, for JavaScript applications.
import { KEYS_END, type WorkerSettings } from '../../src/contract/protocol.js';
import type { Environ } from '../../src/contract/wsgi.js';
import { wrapFile } from './file-wrapper.js';

/** Lists of keys remembered; the same clients send the same header names again and again. */
const MAX_CACHED_KEYS = 512;
/**
 * Of requests with an environ up to this length, in characters: to remember a part of a text keeps all of it, and whoever makes
 * names up may send a hundred fields of 8 KB.
 */
const MAX_CACHED_LENGTH = 16 * 1024;

/** Makes environs for one worker; what is the same for every request is prepared once. */
export class EnvironDecoder {
  readonly #constants: readonly (readonly [key: string, value: unknown])[];
  readonly #keys = new Map<string, readonly string[]>();

  constructor(settings: WorkerSettings) {
    this.#constants = Object.entries({
      ...settings.constants,
      'wsgi.version': Object.freeze([1, 0]),
      'wsgi.multithread': settings.multithread,
      'wsgi.multiprocess': settings.multiprocess,
      'wsgi.run_once': settings.runOnce,
      'wsgi.input_terminated': true,
      'wsgi.file_wrapper': wrapFile,
    });
  }

  decode(wire: string): Environ {
    const keysEnd = wire.indexOf(KEYS_END);
    const keys = this.#lookUpKeys(wire.slice(0, keysEnd), wire.length <= MAX_CACHED_LENGTH);
    const values = wire.slice(keysEnd + KEYS_END.length).split('\0');
    // Not by spreading the constants: each object made so gets a hidden class of its own, which V8 then has to collect.
    const environ: Record<string, unknown> = {};
    for (const [key, value] of this.#constants) environ[key] = value;
    for (let index = 0; index < keys.length; index += 1) environ[keys[index] as string] = values[index];
    return environ as unknown as Environ;
  }

  #lookUpKeys(joined: string, isShort: boolean): readonly string[] {
    const known = this.#keys.get(joined);
    if (known !== undefined) return known;
    const keys = joined.split('\0');
    if (isShort && this.#keys.size < MAX_CACHED_KEYS) this.#keys.set(joined, keys);
    return keys;
  }
}
