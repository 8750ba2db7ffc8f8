/** Main thread. The control socket: it answers what the admin listener answers, and it alone may change anything. */
import { request } from 'node:http';
import { type ErrorPayload, fromPayload, LidoError, toPayload } from '../contract/errors.js';
import type { Log } from '../log.js';
import { createAdminRoutes } from '../observe/admin-routes.js';
import { AdminServer, sendJson } from '../observe/admin-server.js';
import { explainBindError, removeStaleSocket } from './bind.js';
import type { Operated } from './operated.js';
import { reloadAndTell, SETTINGS_STAY } from './reloading.js';
import type { Whereabouts } from './whereabouts.js';

/** Listens at the path, until what it resolves with is called or the process ends. Rejects with LIDO_CANNOT_LISTEN. */
export async function openControlSocket(
  path: string,
  served: Pick<Operated, 'admin' | 'reload' | 'rereadsSettings' | 'describe'>,
  log: Log,
): Promise<() => Promise<void>> {
  await removeStaleSocket({ path });
  const server = new AdminServer({
    address: { path },
    hosts: [],
    log,
    routes: [
      ...createAdminRoutes(served.admin.hub),
      {
        method: 'POST',
        path: '/reload',
        answer: async (response) => {
          const failure = await reloadAndTell(served, log);
          const note = served.rereadsSettings ? '' : SETTINGS_STAY;
          if (failure === null) sendJson(response, 200, { serving: served.describe(), note });
          else sendJson(response, 500, toPayload(failure));
        },
      },
    ],
  });
  await server.listen().catch((error) => {
    throw explainBindError(error, { path }, '--control-socket');
  });
  // It must not keep a process that has finished.
  process.once('exit', () => void server.close());
  return () => server.close();
}

/**
 * Lets a server read its settings and application anew. Resolves once the new ones serve; rejects with the LidoError of
 * what failed there, or with LIDO_NOT_REACHED. Where nothing but its process is known, sends SIGHUP.
 */
export async function askForReload({ controlSocket, pid }: Whereabouts): Promise<void> {
  if (controlSocket !== null) {
    const { status, body } = await post(controlSocket, '/reload');
    if (status !== 200) throw fromPayload(JSON.parse(body) as ErrorPayload);
    const { serving, note } = JSON.parse(body) as { serving: string; note: string };
    process.stdout.write(note === '' ? `${serving}\n` : `${serving}\n${note}\n`);
    return;
  }
  if (pid === null)
    throw new LidoError('LIDO_WRONG_SETTING', ['reload', 'needs --control-socket, or --pidfile']);
  process.kill(pid, 'SIGHUP');
  process.stdout.write(
    `SIGHUP is sent to process ${pid}: its log tells the result; --control-socket waits for it\n`,
  );
}

function post(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: 'POST' }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
      response.on('error', reject);
    });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      reject(new LidoError('LIDO_NOT_REACHED', [socketPath, error.code ?? error.message], { cause: error })),
    );
    asked.end();
  });
}
