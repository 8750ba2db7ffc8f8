// The operator's door: who may ask it, and what.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type AdminRoute, AdminServer, sendJson } from '../../../dist/src/observe/admin-server.js';
import { createMemoryLog } from '../../support/server.js';

const routes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/look',
    answer: (response, query) => sendJson(response, 200, { q: query.get('q') }),
  },
  { method: 'POST', path: '/change', answer: (response) => sendJson(response, 200, { done: true }) },
  {
    method: 'GET',
    path: '/fails',
    answer: async () => {
      throw new Error('no such thing');
    },
  },
];

async function open(hosts: readonly string[] = [], address = { host: '127.0.0.1', port: 0 } as never) {
  const { log, lines } = createMemoryLog();
  const server = new AdminServer({ address, routes, hosts, log });
  onTestFinished(() => server.close());
  await server.listen();
  return { server, lines };
}

interface Asked {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function ask(target: object, path: string, method = 'GET', headers = {}): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const asking = httpRequest({ ...target, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    asking.on('error', reject).end();
  });
}

function addressOf(server: AdminServer): { host: string; port: number } {
  const { hostname, port } = new URL(server.address);
  return { host: hostname, port: Number(port) };
}

it('answers what it was given, and says what there is elsewhere', async () => {
  const { server } = await open();
  const address = addressOf(server);
  expect(await ask(address, '/look?q=1')).toMatchObject({ status: 200, body: '{"q":"1"}\n' });
  expect(await ask(address, '/look', 'HEAD')).toMatchObject({ status: 200, body: '' });
  expect(await ask(address, '/change', 'POST')).toMatchObject({ status: 200, body: '{"done":true}\n' });
  expect(await ask(address, '/other')).toMatchObject({
    status: 404,
    body: 'nothing is here; there is:\nGET /look\nPOST /change\nGET /fails\n',
  });
  expect(await ask(address, '//')).toMatchObject({ status: 404 });
});

it('looks with GET alone and changes with POST alone', async () => {
  const address = addressOf((await open()).server);
  expect(await ask(address, '/look', 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET' } });
  expect(await ask(address, '/change')).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  expect(await ask(address, '/change', 'DELETE')).toMatchObject({ status: 405 });
});

it.each([
  ['evil.example', 403],
  ['evil.example:9090', 403],
  ['127.0.0.1.evil.example', 403],
  ['localhost', 200],
  ['LOCALHOST:1', 200],
  ['10.0.0.7:9090', 200],
  ['[::1]:9090', 200],
  ['metrics.internal:9090', 200],
])('asked as %j answers %d', async (host, status) => {
  const { server } = await open(['metrics.internal']);
  expect(await ask(addressOf(server), '/look', 'GET', { Host: host })).toMatchObject({ status });
});

it('lets no other site keep, frame or read what it says', async () => {
  const { headers } = await ask(addressOf((await open()).server), '/look');
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
  });
  expect(headers['access-control-allow-origin']).toBeUndefined();
});

it('answers 500 where an answer fails, and logs why', async () => {
  const { server, lines } = await open();
  expect(await ask(addressOf(server), '/fails')).toMatchObject({ status: 500 });
  expect(lines.map(({ msg }) => msg)).toEqual(['the admin listener failed at /fails: Error: no such thing']);
});

it('has a Unix socket that its owner alone may use, under any name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lido-admin-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'admin.sock');
  const { server } = await open([], { path } as never);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(server.address).toBe(`unix:${path}`);
  expect(await ask({ socketPath: path }, '/look', 'GET', { Host: 'any.example' })).toMatchObject({
    status: 200,
  });
});

it('says that it cannot listen', async () => {
  const { server } = await open();
  const { port } = addressOf(server);
  await expect(open([], { host: '127.0.0.1', port } as never)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});
