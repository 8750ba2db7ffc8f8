/** Main thread. Asks another process's admin listener. */
import { type IncomingMessage, request } from 'node:http';
import { LidoError } from '../../contract/errors.js';
import type { Overview } from '../../observe/hub.js';
import { parseBind } from '../../settings/address.js';
import type { Settings } from '../../settings/resolve.js';

/** The first of the settings' admin listeners. Throws LIDO_WRONG_SETTING where there is none. */
export function findAdmin({ admin }: Pick<Settings, 'admin'>): string {
  const [first] = admin;
  if (first !== undefined) return first;
  throw new LidoError('LIDO_WRONG_SETTING', ['admin', 'name where the server has its admin listener']);
}

/** Everything at once, as the text of JSON. Rejects with LIDO_ADMIN_NOT_REACHED. */
export async function askStats(admin: string): Promise<string> {
  const response = await ask(admin, '/stats');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text;
}

/** What it is at, each second. Rejects with LIDO_ADMIN_NOT_REACHED, also when it ends. */
export async function* follow(admin: string): AsyncGenerator<Overview> {
  const response = await ask(admin, '/events');
  let text = '';
  try {
    for await (const part of response.setEncoding('utf8')) {
      const events = (text + part).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) yield JSON.parse(event.slice('data: '.length)) as Overview;
    }
  } catch (error) {
    throw new LidoError('LIDO_ADMIN_NOT_REACHED', [admin, 'it ended'], { cause: error });
  }
}

function ask(admin: string, path: string): Promise<IncomingMessage> {
  const address = parseBind(admin);
  const target = 'path' in address ? { socketPath: address.path } : address;
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new LidoError('LIDO_ADMIN_NOT_REACHED', [admin, why], { cause }));
    request({ ...target, path, headers: { Host: 'localhost' } }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else fail(`it answers ${response.statusCode}`);
    })
      .on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error))
      .end();
  });
}
