/** Main thread. Asks another process, the server, at its admin listener or its control socket. */
import { type IncomingMessage, request } from 'node:http';
import { LidoError } from '../../contract/errors.js';
import type { Overview } from '../../observe/hub.js';
import { parseAdminAddress } from '../../settings/address.js';

/** What one of the admin listener's paths says, as text. Rejects with LIDO_NOT_REACHED. `where` is written as `admin` is. */
export async function askText(where: string, path: '/stats' | '/stacks' | '/stacks.txt'): Promise<string> {
  const response = await ask(where, path);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text;
}

/** A file that the server makes. Rejects with LIDO_NOT_REACHED, and with LIDO_NOT_PROFILED where it says why it makes none. */
export async function askFile(where: string, path: string): Promise<{ name: string; content: string }> {
  const response = await ask(where, path, [200, 400, 404, 409]);
  let content = '';
  for await (const part of response.setEncoding('utf8')) content += part;
  if (response.statusCode !== 200) throw new LidoError('LIDO_NOT_PROFILED', [content.trim()]);
  const [, name = 'lido.json'] =
    /filename="([\w.-]+)"/.exec(response.headers['content-disposition'] ?? '') ?? [];
  return { name, content };
}

/** What it is at, each second. Rejects with LIDO_NOT_REACHED, also when it ends. */
export async function* follow(where: string): AsyncGenerator<Overview> {
  const response = await ask(where, '/events');
  let text = '';
  try {
    for await (const part of response.setEncoding('utf8')) {
      const events = (text + part).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) yield JSON.parse(event.slice('data: '.length)) as Overview;
    }
  } catch (error) {
    throw new LidoError('LIDO_NOT_REACHED', [where, 'it ended'], { cause: error });
  }
}

function ask(where: string, path: string, statuses: readonly number[] = [200]): Promise<IncomingMessage> {
  const address = parseAdminAddress(where);
  const target = 'path' in address ? { socketPath: address.path } : address;
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new LidoError('LIDO_NOT_REACHED', [where, why], { cause }));
    request({ ...target, path, headers: { Host: 'localhost' } }, (response) => {
      if (statuses.includes(response.statusCode ?? 0)) resolve(response);
      else fail(`it answers ${response.statusCode}`);
    })
      .on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error))
      .end();
  });
}
