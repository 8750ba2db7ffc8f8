import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { catalogue, explainThread } from '../../../dist/src/contract/errors.js';
import { root } from '../../support/server.js';

interface Entry {
  readonly status?: number;
  readonly exit?: number;
  readonly message: string;
  readonly remedy: string;
}

const entries = Object.entries<Entry>(catalogue);

/** The rows of docs/errors.md by code. */
function readRows(): Map<string, readonly string[]> {
  const page = readFileSync(`${root}docs/errors.md`, 'utf8');
  const rows = [...page.matchAll(/^\| `(LIDO_[A-Z_]+)` \| (.*) \| (.*) \| (.*) \|$/gm)];
  return new Map(rows.map(([, code = '', ...cells]) => [code, cells]));
}

it('describes every error of the catalogue as it is, and no other', () => {
  const expected = entries.map(([code, { message, remedy, status, exit }]) => {
    const answer = status === undefined ? (exit === undefined ? '' : `exit ${exit}`) : String(status);
    return [code, [message.replaceAll('%s', '…'), answer, remedy.replaceAll('%s', '…')]];
  });
  expect(Object.fromEntries(readRows())).toEqual(Object.fromEntries(expected));
});

it('gives no error more than one row', () => {
  const page = readFileSync(`${root}docs/errors.md`, 'utf8');
  const codes = [...page.matchAll(/^\| `(LIDO_[A-Z_]+)`/gm)].map(([, code]) => code);
  expect(codes).toEqual(entries.map(([code]) => code));
});

it('names the want of threads, and leaves all else as it was', () => {
  const refused = Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
  expect(explainThread(refused)).toMatchObject({ code: 'LIDO_NO_THREADS', cause: refused });
  for (const other of [new Error('EAGAIN'), 'text', undefined, null])
    expect(explainThread(other)).toBe(other);
});
