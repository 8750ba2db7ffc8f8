/** Main thread. Files of environment variables, KEY=VALUE a line, as dotenv and `node --env-file` read them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { PlacedMistake } from './mistake.js';

/** What these files have set, and may change when they are read again. */
const set = new Map<string, string>();

/**
 * Sets the variables of these files, seen from the working directory; those that are set already stay, and of several
 * files the first that has a variable wins. Gives a mistake, at `place`, for each file that cannot be read.
 */
export function loadEnvFiles(files: readonly string[], place: string): PlacedMistake[] {
  forget();
  return files.flatMap((file) => {
    const path = resolve(file);
    try {
      for (const [name, value = ''] of Object.entries(parseEnv(readFileSync(path, 'utf8'))))
        if (process.env[name] === undefined) {
          process.env[name] = value;
          set.set(name, value);
        }
      return [];
    } catch (error) {
      return [{ place, text: `${path} cannot be read: ${(error as NodeJS.ErrnoException).code}` }];
    }
  });
}

/** A variable that somebody else has set since stays. */
function forget(): void {
  for (const [name, value] of set) if (process.env[name] === value) delete process.env[name];
  set.clear();
}
