/** Main thread. One value of a setting: checked, and turned from text into what the setting holds. Pure. */
import { parseBind } from './bind.js';
import { nearest } from './nearest.js';
import type { Setting } from './settings.js';

/** Why a value is not allowed, as it follows the setting's name: "takes a whole number, 1 or more, not "x"". */
export class Mistake {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The value as the setting holds it. Numbers and booleans may come as text, and one item for a list. */
export function parseValue(setting: Setting, value: unknown): unknown {
  switch (setting.type) {
    case 'boolean':
      return parseBoolean(value);
    case 'integer':
      return parseNumber(setting, value, 'a whole number', Number.isSafeInteger);
    case 'bytes':
      return parseNumber(setting, value, 'a whole number of bytes', Number.isSafeInteger);
    case 'seconds':
      return parseNumber(setting, value, 'a number of seconds', isTimer);
    case 'strings':
      return parseList(value, 'a list of texts', (text) => text !== '');
    case 'pairs':
      return parseList(value, 'a list of KEY=VALUE', (text) => /^[^=\0]+=[^\0]*$/.test(text));
    case 'addresses':
      return parseList(value, 'HOST:PORT, [IPV6]:PORT, PORT or unix:PATH, or a list of these', isAddress);
    case 'string':
      return parseText(setting, value);
  }
}

/** Node's timers hold 31 bits of milliseconds. */
const LONGEST_SECONDS = 2_147_483;

function isTimer(seconds: number): boolean {
  return seconds <= LONGEST_SECONDS;
}

function parseBoolean(value: unknown): boolean | Mistake {
  if (value === true || value === '1' || value === 'true') return true;
  if (value === false || value === '0' || value === 'false') return false;
  return reject('true or false', value);
}

function parseNumber(
  { min = 0 }: Setting,
  value: unknown,
  what: string,
  fits: (number: number) => boolean,
): number | Mistake {
  const isText = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value);
  const number: unknown = isText ? Number(value) : value;
  const isGood = typeof number === 'number' && Number.isFinite(number) && number >= min && fits(number);
  return isGood ? number : reject(`${what}, ${min} or more`, value);
}

function parseList(
  value: unknown,
  what: string,
  isGood: (text: string) => boolean,
): readonly string[] | Mistake {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const bad = list.find((item) => typeof item !== 'string' || !isGood(item));
  if (bad !== undefined) return reject(what, bad);
  return Object.freeze([...(list as string[])]);
}

function isAddress(text: string): boolean {
  try {
    parseBind(text);
    return true;
  } catch {
    return false;
  }
}

function parseText({ choices }: Setting, value: unknown): string | Mistake {
  if (typeof value !== 'string' || value === '') return reject(choices?.join(', ') ?? 'a text', value);
  if (choices === undefined || choices.includes(value)) return value;
  const near = nearest(value, choices);
  return reject(choices.join(', '), value, near === null ? '' : `; did you mean ${near}?`);
}

function reject(expected: string, value: unknown, hint = ''): Mistake {
  return new Mistake(`takes ${expected}, not ${JSON.stringify(value) ?? String(value)}${hint}`);
}
