/** Main thread. The lines of a config file where its keys stand: found by look, as no parser here tells them. Pure. */

/**
 * The line, from 1, where the file gives the last key of `path` its value: ['threads'], or ['mounts', '/shop', 'threads'].
 * Where a program computed the innermost values, this is the line of the last key that is written out; null where no key
 * is. `ending` is the file's: 'toml', 'json', 'ts'.
 */
export function locateKey(text: string, ending: string, path: readonly string[]): number | null {
  const lines = ending === 'toml' ? findTableKeys(text) : findObjectKeys(text);
  for (let depth = path.length; depth > 0; depth -= 1) {
    const line = lines.get(join(path.slice(0, depth)));
    if (line !== undefined) return line;
  }
  return null;
}

/** The line of each key, by its path. Where a key is written twice, the last one counts, and its line is the one kept. */
type KeyLines = ReadonlyMap<string, number>;

const join = (path: readonly string[]) => path.join('\0');

const TOML_KEY = /"[^"]*"|'[^']*'|[\w-]+/g;

/** TOML: tables, and keys at the start of a line. What an inline table holds stands on the same line as its key. */
function findTableKeys(text: string): KeyLines {
  const found = new Map<string, number>();
  let table: readonly string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const [, header, key] = /^\s*(?:\[+(.*?)\]|((?:"[^"]*"|'[^']*'|[\w-]+|[\s.])+)=)/.exec(line) ?? [];
    const names = (header ?? key)?.match(TOML_KEY)?.map(unquote);
    if (names === undefined) continue;
    const path = header === undefined ? [...table, ...names] : names;
    if (header !== undefined) table = names;
    // The header [mounts."/shop"] is also the first line of mounts.
    for (let depth = 1; depth < path.length; depth += 1) {
      const outer = join(path.slice(0, depth));
      if (!found.has(outer)) found.set(outer, index + 1);
    }
    found.set(join(path), index + 1);
  }
  return found;
}

/** Comments, texts, words, and each other sign by itself. */
const TOKEN = /\/\/.*|\/\*[\s\S]*?\*\/|(["'`])(?:\\[\s\S]|(?!\1)[^\\])*\1|[\w$]+|[^\s\w$]/g;

/** A bracket that is open, and the key whose value it is. */
interface Open {
  readonly bracket: string;
  readonly key: string | null;
}

/** JSON, and the objects of JavaScript and TypeScript: `key:`, or a variable's name alone, after a brace or a comma. */
function findObjectKeys(text: string): KeyLines {
  const found = new Map<string, number>();
  const tokens = [...text.matchAll(TOKEN)].filter(([token]) => !/^\/[/*]/.test(token));
  const open: Open[] = [];
  let current: string | null = null;
  for (const [index, { 0: token, index: offset }] of tokens.entries()) {
    const [before = '', after = ''] = [tokens[index - 1]?.[0], tokens[index + 1]?.[0]];
    if (/^[[({]$/.test(token)) {
      open.push({ bracket: token, key: current });
      current = null;
    } else if (/^[\])}]$/.test(token)) {
      open.pop();
      current = null;
    } else if (open.at(-1)?.bracket === '{' && /^[{,]$/.test(before) && isKey(token, after)) {
      current = unquote(token);
      const outer = open.flatMap(({ key }) => key ?? []);
      found.set(join([...outer, current]), text.slice(0, offset).split('\n').length);
    }
  }
  return found;
}

function isKey(token: string, after: string): boolean {
  return after === ':' ? /^["'\w$]/.test(token) : /^[,}]$/.test(after) && /^[A-Za-z_$]/.test(token);
}

function unquote(key: string): string {
  return /^["']/.test(key) ? key.slice(1, -1) : key;
}
