/** Main thread. One value of a setting: checked, and turned from text into what the setting holds. Pure. */

import { parseAccessFormat } from './access-format.js';
import { readAddress } from './address.js';
import { parseApplicationName } from './application-name.js';
import { Mistake, rejectValues as reject } from './mistake.js';
import { nearest } from './nearest.js';
import type { Setting } from './table.js';
import { trustProxies } from './trusted-proxies.js';
import { isUrlPath, URL_PATH_RULE } from './url-path.js';

/**
 * The value as the setting holds it. A single item stands for a list of one. With `isText`, numbers and booleans may be given as
 * text, because flags and environment variables are always text.
 */
export function parseValue(setting: Setting, given: unknown, isText: boolean): unknown {
  const value = isText ? readText(setting, given) : given;
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
      return parseTexts(setting, value);
    case 'pairs':
      return parseList(value, 'a list of KEY=VALUE', (text) => /^[^=\0]+=[^\0]*$/.test(text));
    case 'addresses':
      return parseAddresses(setting, value);
    case 'proxies':
      return parseList(
        value,
        'an address, a network such as 10.0.0.0/8, unix or *, or a list of these',
        isProxy,
      );
    case 'mounts':
      return parseByPath(value, APPLICATIONS);
    case 'folders':
      return parseFolders(value);
    case 'application':
      return parseApplication(value);
    case 'string':
      return parseText(setting, value);
    case 'access-format':
      return parseFormat(value);
    case 'mode':
      return parseMode(value);
    case 'socket':
      return parseSocket(value);
  }
}

function readText({ type }: Setting, given: unknown): unknown {
  if (typeof given !== 'string') return given;
  const isNumber = type === 'integer' || type === 'seconds' || type === 'bytes';
  if (isNumber && /^\d+(\.\d+)?$/.test(given)) return Number(given);
  if (type === 'boolean' && /^(0|1|true|false)$/.test(given)) return given === '1' || given === 'true';
  return given;
}

/** Node's timers hold 31 bits of milliseconds. */
const LONGEST_SECONDS = 2_147_483;

function isTimer(seconds: number): boolean {
  return seconds <= LONGEST_SECONDS;
}

function parseBoolean(value: unknown): boolean | Mistake {
  return typeof value === 'boolean' ? value : reject('true or false', value);
}

function parseNumber(
  { min = 0, max = Number.POSITIVE_INFINITY }: Setting,
  value: unknown,
  what: string,
  fits: (number: number) => boolean,
): number | Mistake {
  const isGood =
    typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max && fits(value);
  const range = Number.isFinite(max) ? `from ${min} to ${max}` : `${min} or more`;
  return isGood ? value : reject(`${what}, ${range}`, value);
}

function parseList(
  value: unknown,
  what: string,
  isGood: (text: string) => boolean,
): readonly string[] | Mistake {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const bad = list.filter((item) => typeof item !== 'string' || !isGood(item));
  if (bad.length > 0) return reject(what, ...bad);
  return Object.freeze([...(list as string[])]);
}

interface ByPath {
  /** What an object holds. */
  readonly what: string;
  /** What an item of a list looks like. */
  readonly pair: string;
}

const APPLICATIONS: ByPath = {
  what: 'an object of applications by their paths',
  pair: 'PATH=MODULE:CALLABLE',
};
const FOLDERS: ByPath = { what: 'an object of folders by their paths', pair: 'PATH=DIR' };

/** As an object, or as a list of pairs; what stands at each path is for others to check. */
function parseByPath(value: unknown, { what, pair }: ByPath): Readonly<Record<string, unknown>> | Mistake {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.keys(value).length > 0 ? (value as Record<string, unknown>) : reject(what, value);
  const list = parseList(value, pair, (text) => /^\/[^=]*=./.test(text));
  if (list instanceof Mistake)
    return typeof value === 'string' || Array.isArray(value) ? list : reject(what, value);
  const pairs = list.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  const paths = pairs.map(([path]) => path);
  const repeated = paths.find((path, index) => paths.indexOf(path) < index);
  if (repeated !== undefined) return new Mistake(`names ${repeated} twice`);
  return list.length > 0 ? Object.fromEntries(pairs) : reject(what, value);
}

function parseFolders(value: unknown): Readonly<Record<string, unknown>> | Mistake {
  const folders = parseByPath(value, FOLDERS);
  if (folders instanceof Mistake) return folders;
  for (const [path, folder] of Object.entries(folders)) {
    if (!isUrlPath(path)) return new Mistake(`${path}: ${URL_PATH_RULE}`);
    if (typeof folder !== 'string' || folder === '')
      return new Mistake(`${path}: ${reject('a folder', folder).text}`);
  }
  return Object.freeze(folders);
}

function parseAddresses({ isNeeded = false }: Setting, value: unknown): readonly string[] | Mistake {
  const what = 'HOST:PORT, [IPV6]:PORT, PORT, unix:PATH or fd://N, or a list of these';
  // A server that listens nowhere serves nobody.
  if (isNeeded && Array.isArray(value) && value.length === 0) return reject(what, value);
  const list = parseList(value, typeof value === 'number' ? `${what}, as text` : what, () => true);
  if (list instanceof Mistake) return list;
  for (const text of list) {
    const address = readAddress(text);
    if (address instanceof Mistake) return new Mistake(`${reject(what, text).text}: ${address.text}`);
  }
  return list;
}

function parseTexts({ choices }: Setting, value: unknown): readonly string[] | Mistake {
  if (choices === undefined) return parseList(value, 'a list of texts', (text) => text !== '');
  const list = parseList(value, `a list of ${choices.join(', ')}`, (text) => choices.includes(text));
  if (!(list instanceof Mistake)) return list;
  const bad: unknown = (Array.isArray(value) ? value : [value]).find((item) => !choices.includes(item));
  return typeof bad === 'string' ? suggest(list, bad, choices) : list;
}

function isProxy(text: string): boolean {
  try {
    trustProxies([text], []);
    return true;
  } catch {
    return false;
  }
}

function parseApplication(value: unknown): string | Mistake {
  const isName = typeof value === 'string' && parseApplicationName(value) !== null;
  return isName
    ? value
    : reject('MODULE:CALLABLE, such as hello.js:application or shop.wsgi:create_app()', value);
}

function parseFormat(value: unknown): string | Mistake {
  if (value === 'json') return value;
  if (typeof value !== 'string' || value === '') return reject('text with %(NAME)s in it', value);
  try {
    parseAccessFormat(value);
    return value;
  } catch (error) {
    return new Mistake((error as RangeError).message);
  }
}

/** As text only: a config file's 660 would be a number of another base. */
function parseMode(value: unknown): string | Mistake {
  const isMode = typeof value === 'string' && /^0?[0-7]{3}$/.test(value);
  return isMode ? value : reject('three octal digits as text, such as "660"', value);
}

/** A path alone: every user of the machine may connect to an abstract socket. */
function parseSocket(value: unknown): string | Mistake {
  if (typeof value !== 'string' || /^(@|unix:|$)/.test(value))
    return reject('the path of a Unix socket, such as /run/lido.sock', value);
  const address = readAddress(`unix:${value}`);
  return address instanceof Mistake ? address : value;
}

function parseText({ choices, synonyms }: Setting, value: unknown): string | Mistake {
  if (typeof value !== 'string' || value === '') return reject(choices?.join(', ') ?? 'a text', value);
  if (choices === undefined || choices.includes(value)) return value;
  const isKnown = synonyms !== undefined && Object.hasOwn(synonyms, value);
  const meant = isKnown ? (synonyms[value] as string) : value;
  return suggest(reject(choices.join(', '), value), meant, choices);
}

/** Adds "; did you mean warn?" where a choice is near. */
function suggest({ text }: Mistake, value: string, choices: readonly string[]): Mistake {
  const near = nearest(value, choices) ?? choices.find((choice) => value.startsWith(choice));
  return new Mistake(near === undefined ? text : `${text}; did you mean ${near}?`);
}
