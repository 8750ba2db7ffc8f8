// What each thread does at its start, by LIDO_TEST_HOOKS: "starts,fails" for the first and the second. Told in LIDO_TEST_FILE.
import { appendFileSync, mkdirSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const { LIDO_TEST_FILE: file, LIDO_TEST_HOOKS: kinds } = process.env;
const tell = (event) => appendFileSync(file, `${event}\n`);

/** How manieth thread this is, from 0 on. */
function count() {
  for (let number = 0; ; number += 1) {
    try {
      mkdirSync(`${file}.${number}`);
      return number;
    } catch {}
  }
}

const kind = kinds.split(',')[count()];

export async function startup() {
  tell(`begins ${kind}`);
  if (kind === 'slow') await wait(300);
  if (kind === 'waits') await new Promise(() => {});
  if (kind === 'fails late') await wait(300);
  if (kind.startsWith('fails')) throw new Error('no database');
  tell('startup');
}

export async function shutdown() {
  await wait(10);
  tell('shutdown');
}

export function application({ PATH_INFO: path }, startResponse) {
  if (path === '/exits') process.exit(1);
  startResponse('200 OK', []);
  return [];
}
