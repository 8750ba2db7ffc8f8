/** Main thread. An application's header fields beside those that hooks and middleware have set. */
import type { ServerResponse } from 'node:http';

/** Fields that say one thing each time: the application's do not replace what was set before, they join it. */
const JOINED_FIELDS = new Set(['set-cookie', 'vary']);

/**
 * Sets fields, names and values one after the other, on a response that has some already. Of one name the application's
 * win, save the joined ones. ServerResponse.writeHead() cannot be left to do this: before Node 22 it keeps one of each.
 */
export function setFields(response: ServerResponse, fields: readonly string[]): void {
  const values = new Map<string, string[]>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).toLowerCase();
    const known = values.get(name);
    if (known === undefined) values.set(name, [...readPreset(response, name), fields[index + 1] as string]);
    else known.push(fields[index + 1] as string);
  }
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const own = values.get(name.toLowerCase());
    if (own !== undefined) response.setHeader(name, own.length === 1 ? (own[0] as string) : own);
  }
}

function readPreset(response: ServerResponse, name: string): string[] {
  const preset = JOINED_FIELDS.has(name) ? response.getHeader(name) : undefined;
  if (preset === undefined) return [];
  return Array.isArray(preset) ? preset : [String(preset)];
}
