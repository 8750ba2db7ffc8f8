/** Main thread. Files of environment variables, KEY=VALUE a line, as dotenv and `node --env-file` read them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { PlacedMistake } from './mistake.js';

/**
 * Sets the variables of these files, seen from the working directory; those that are set already stay, and of several
 * files the first that has a variable wins. Gives a mistake, at `place`, for each file that cannot be read.
 */
export function loadEnvFiles(files: readonly string[], place: string): PlacedMistake[] {
  return files.flatMap((file) => {
    const path = resolve(file);
    try {
      for (const [name, value] of Object.entries(parseEnv(readFileSync(path, 'utf8'))))
        process.env[name] ??= value;
      return [];
    } catch (error) {
      return [{ place, text: `${path} cannot be read: ${(error as NodeJS.ErrnoException).code}` }];
    }
  });
}
