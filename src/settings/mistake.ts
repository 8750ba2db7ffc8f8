/** Main thread. How what is wrong travels through this room: as values, gathered until resolve.ts throws them all at once. Pure. */
import { type ErrorCode, LidoError } from '../contract/errors.js';

/** Why a value is not allowed, as it follows the setting's name: `takes a whole number, 1 or more, not "x"`. */
export class Mistake {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A mistake, and where somebody made it: "--threads", "LIDO_THREADS", "lido.config.toml:3". */
export interface PlacedMistake {
  readonly place: string;
  readonly text: string;
}

/** `takes EXPECTED, not "x", "y"` */
export function rejectValues(expected: string, ...values: readonly unknown[]): Mistake {
  const shown = values.map((value) => JSON.stringify(value) ?? String(value));
  return new Mistake(`takes ${expected}, not ${shown.join(', ')}`);
}

/** Throws nothing where nothing is wrong. One mistake is told in one line, several in one line each. */
export function throwMistakes(
  mistakes: readonly PlacedMistake[],
  code: ErrorCode = 'LIDO_WRONG_SETTING',
): void {
  const [first] = mistakes;
  if (first === undefined) return;
  if (mistakes.length === 1) throw new LidoError(code, [first.place, first.text]);
  const lines = mistakes.map(({ place, text }) => `\n  - ${place}: ${text}`).join('');
  throw new LidoError(code, ['settings', `${mistakes.length} mistakes${lines}`]);
}
