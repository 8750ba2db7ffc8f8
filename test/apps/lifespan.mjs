// Applications with a start and an end, by what LIDO_TEST_HOOKS says of them. What they do is told in the file LIDO_TEST_FILE.
import { appendFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';

const { LIDO_TEST_FILE: file, LIDO_TEST_HOOKS: what = '' } = process.env;
const tell = (event) => appendFileSync(file, `${event} ${threadId}\n`);
let database = null;

export async function startup() {
  if (what === 'cannot start') throw new Error('no database');
  await wait(10);
  database = 'connected';
  tell('startup');
}

export async function shutdown() {
  if (what === 'cannot stop') throw new Error('the database is gone');
  if (what === 'never stops') await new Promise(() => {});
  while (what === 'blocks');
  await wait(10);
  tell('shutdown');
}

export async function application({ PATH_INFO: path }, startResponse) {
  startResponse('200 OK', []);
  tell(path === '/waits' ? 'waits' : 'request');
  if (path === '/waits') await wait(3_600_000);
  return [database];
}
