// The admin listener: health, and metrics as Prometheus reads them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readHealth, readValue, scrape } from './support/admin.js';
import { makeFolder, serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, languages, root, startServer } from './support/server.js';

const ADMIN = { admin: ['127.0.0.1:0'] };
const hello = fixture('javascript', 'hello');

async function serve(settings: object = hello) {
  const running = await startServer({ ...settings, ...ADMIN });
  return { ...running, admin: running.server.adminAddresses[0] as string };
}

/** An application that answers `/` at once, and other paths when the file is there. */
function makeWaiting() {
  const folder = makeFolder({
    'waits.mjs': `
      import { existsSync } from 'node:fs';
      export function application(environ, startResponse) {
        const pause = new Int32Array(new SharedArrayBuffer(4));
        while (environ.PATH_INFO !== '/' && !existsSync(import.meta.dirname + '/go')) Atomics.wait(pause, 0, 0, 5);
        startResponse('200 OK', []);
        return ['done'];
      }`,
  });
  return { application: `${folder}/waits.mjs`, go: () => writeFileSync(join(folder, 'go'), '') };
}

describe('health', () => {
  it('is live, and ready once the applications are served', async () => {
    const { admin } = await serve();
    expect((await fetch(`${admin}/health/live`)).status).toBe(200);
    expect(await readHealth(admin)).toEqual({ status: 200, ready: true, reasons: [] });
  });

  it('is not ready while the application is imported, and while the server drains', async () => {
    const folder = makeFolder({
      'slow.mjs': `
        import { existsSync } from 'node:fs';
        while (!existsSync(import.meta.dirname + '/go')) await new Promise((resolve) => setTimeout(resolve, 5));
        export const application = () => new Promise(() => {});`,
    });
    const socket = join(folder, 'admin.sock');
    const port = await freePort();
    const starting = serveLido(
      ['--admin', `127.0.0.1:${port}`, '--admin', `unix:${socket}`, '--graceful-timeout', '1', 'slow.mjs'],
      {
        cwd: folder,
      },
    );
    const admin = `http://127.0.0.1:${port}`;
    await expect
      .poll(() => readHealth(admin).catch(() => null), { timeout: 5000 })
      .toEqual({
        status: 503,
        ready: false,
        reasons: ['process 1: starting'],
      });
    expect((await fetch(`${admin}/health/live`)).status).toBe(200);
    writeFileSync(join(folder, 'go'), '');
    const server = await starting;
    expect((await readHealth(admin)).ready).toBe(true);
    new RawClient(Number(new URL(server.url).port)).send(get('/'));
    await expect.poll(async () => readValue(await scrape(admin), 'lido_workers', { state: 'busy' })).toBe(1);
    server.child.kill('SIGTERM');
    await expect
      .poll(() => readHealth(admin))
      .toEqual({ status: 503, ready: false, reasons: ['process 1: draining'] });
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('is not ready while a request waits for longer than readyWait', async () => {
    const { application, go } = makeWaiting();
    const { port, admin, server } = await serve({ application, readyWait: 0.2 });
    // As many as fit a worker and its queue, and one more.
    const asked = Array.from({ length: 70 }, () => exchange(port, get('/wait')));
    await expect
      .poll(() => readHealth(admin), { timeout: 3000 })
      .toMatchObject({
        ready: false,
        reasons: [expect.stringMatching(/^process 1: \/: a request has waited for \d+ s$/)],
      });
    go();
    await Promise.all(asked);
    expect((await readHealth(admin)).ready).toBe(true);
    await server.close();
  });

  it('is not ready without a worker', async () => {
    const folder = makeFolder({
      'once.mjs': `
        import { existsSync, writeFileSync } from 'node:fs';
        const mark = import.meta.dirname + '/started';
        if (existsSync(mark)) throw new Error('not again');
        writeFileSync(mark, '');
        export const application = () => process.exit(1);`,
    });
    const { port, admin } = await serve({ application: `${folder}/once.mjs` });
    await exchange(port, get('/'));
    await expect
      .poll(() => readHealth(admin))
      .toMatchObject({ ready: false, reasons: ['process 1: /: no worker'] });
    expect(readValue(await scrape(admin), 'lido_worker_restarts_total', { cause: 'LIDO_WORKER_DIED' })).toBe(
      1,
    );
  });
});

describe('metrics', () => {
  it('count requests, bytes and time, as Prometheus’s own parser reads them', async () => {
    const { port, admin } = await serve({
      mounts: { '/': hello.application, '/echo': fixture('javascript', 'echo').application },
    });
    for (let count = 0; count < 3; count += 1) await exchange(port, get('/'));
    await exchange(port, 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await exchange(port, get('/', '', 'PROPFIND'));
    await exchange(port, 'GET / HTTP/1.1\r\n\r\n');
    const families = await scrape(admin);
    expect(readValue(families, 'lido_requests_total', { mount: '/', method: 'GET', status: '2xx' })).toBe(3);
    expect(
      readValue(families, 'lido_requests_total', { mount: '/echo', method: 'POST', status: '2xx' }),
    ).toBe(1);
    expect(readValue(families, 'lido_requests_total', { method: 'other' })).toBe(1);
    expect(readValue(families, 'lido_refusals_total', { mount: '/', reason: 'status_400' })).toBe(1);
    expect(readValue(families, 'lido_request_body_bytes_total', { mount: '/echo' })).toBe(5);
    expect(readValue(families, 'lido_response_body_bytes_total', { mount: '/echo' })).toBe(5);
    expect(readValue(families, 'lido_request_duration_seconds_count', { mount: '/echo' })).toBe(1);
    expect(readValue(families, 'lido_request_wait_seconds_count')).toBe(5);
    expect(readValue(families, 'lido_connections', { state: 'active' })).toBe(0);
    expect(readValue(families, 'lido_workers', { mount: '/', state: 'idle' })).toBe(1);
    expect(readValue(families, 'process_resident_memory_bytes')).toBeGreaterThan(20e6);
    expect(readValue(families, 'lido_application_info', { mount: '/' })).toBe(1);
  });

  it('are named by Prometheus’s conventions, and their histograms are whole', async () => {
    const { port, admin } = await serve();
    await exchange(port, get('/'));
    const families = await scrape(admin);
    expect(families.length).toBeGreaterThan(15);
    for (const { name, type, documentation, samples } of families) {
      expect(name).toMatch(/^(lido|process)_[a-z_]+$/);
      expect(documentation).not.toBe('');
      const suffixes = { counter: ['_total'], gauge: [''], histogram: ['_bucket', '_sum', '_count'] }[type];
      expect(suffixes, `${name} is a ${type}`).toBeDefined();
      for (const sample of samples) expect(suffixes?.map((suffix) => name + suffix)).toContain(sample.name);
      if (type === 'histogram') checkBuckets(samples.filter((sample) => sample.name === `${name}_bucket`));
    }
  });

  it('tell of time-outs, errors, refusals and why workers were replaced', async () => {
    const loop = makeFolder({ 'loops.mjs': 'export function application() { for (;;); }' });
    const { port, admin } = await serve({
      mounts: {
        '/loops': { application: `${loop}/loops.mjs`, timeout: 0.2 },
        '/fails': fixture('javascript', 'failsBefore').application,
      },
    });
    await Promise.all([
      exchange(port, get('/loops')),
      exchange(port, get('/fails')),
      exchange(port, get('/nowhere')),
    ]);
    const families = await scrape(admin);
    expect(readValue(families, 'lido_timeouts_total', { mount: '/loops' })).toBe(1);
    expect(
      readValue(families, 'lido_worker_restarts_total', { mount: '/loops', cause: 'LIDO_TIMED_OUT' }),
    ).toBe(1);
    expect(
      readValue(families, 'lido_errors_total', { mount: '/fails', code: 'LIDO_APPLICATION_RAISED' }),
    ).toBe(1);
    expect(readValue(families, 'lido_refusals_total', { mount: 'none', reason: 'status_404' })).toBe(1);
  });

  it.each(languages)('tell of each worker of %s what it takes', async (language) => {
    const { port, admin } = await serve(fixture(language, 'hello'));
    await exchange(port, get('/'));
    const families = await scrape(admin);
    const read = (name: string) => readValue(families, name, { mount: '/', worker: '1' });
    expect(read('lido_worker_cpu_seconds_total')).toBeGreaterThan(0);
    if (language === 'javascript') {
      expect(read('lido_worker_heap_bytes')).toBeGreaterThan(1e6);
      expect(read('lido_worker_heap_limit_bytes')).toBeGreaterThan(read('lido_worker_heap_bytes'));
    } else expect(read('lido_worker_gil_wait_seconds_total')).toBeGreaterThan(0);
  });

  it('tell of those who are refused because the backlog is full, and the log tells once', async () => {
    const { application, go } = makeWaiting();
    const { port, admin, lines, server } = await serve({ application, backlog: 2 });
    const waiting = Promise.all(
      Array.from({ length: 3 }, () => exchange(port, get('/wait')).catch(() => null)),
    );
    await expect.poll(() => server.stats()[0]).toMatchObject({ sent: 1, waiting: 2 });
    const refused = await Promise.all(Array.from({ length: 4 }, () => exchange(port, get('/'))));
    expect(refused.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
    expect(readValue(await scrape(admin), 'lido_refusals_total', { reason: 'backlog_full' })).toBe(4);
    expect(lines.flatMap(({ code, msg }) => (code === 'LIDO_BACKLOG_FULL' ? msg : []))).toEqual([
      'a request was refused: the backlog is full',
    ]);
    // A crowd that is turned away hides no error of the application.
    expect(((await (await fetch(`${admin}/stats`)).json()) as { errors: unknown[] }).errors).toEqual([]);
    go();
    expect((await waiting).map((answer) => answer?.status)).toEqual([200, 200, 200]);
  });

  it('tell of those who are refused because there is no room for what clients send', async () => {
    const { application, go } = makeWaiting();
    const { port, admin, lines } = await serve({ application, bufferBudget: 100_000 });
    // Requests in rows of which only the first is looked at.
    const greedy = [new RawClient(port), new RawClient(port)];
    for (const client of greedy) client.send(get('/wait') + get('/').repeat(2000));
    await expect
      .poll(async () => {
        new RawClient(port).send(get('/'));
        return readValue(await scrape(admin), 'lido_refusals_total', { reason: 'buffers_full' });
      })
      .toBeGreaterThan(0);
    const told = lines.flatMap(({ code, msg }) => (code === 'LIDO_BUFFERS_FULL' ? msg : []));
    expect(told).toEqual([expect.stringMatching(/^a request was refused: /)]);
    for (const client of greedy) client.socket.destroy();
    go();
  });

  it('add up all processes, and keep what one counted that ended', async () => {
    const folder = makeFolder({});
    const port = await freePort();
    const server = await serveLido(
      ['--processes', '2', '--admin', `127.0.0.1:${port}`, `${root}test/apps/applications.mjs:hello`],
      { cwd: folder },
    );
    const admin = `http://127.0.0.1:${port}`;
    const own = Number(new URL(server.url).port);
    await Promise.all(Array.from({ length: 20 }, () => exchange(own, get('/'))));
    const before = await scrape(admin);
    expect(readValue(before, 'lido_requests_total', { status: '2xx' })).toBe(20);
    expect(processesOf(before)).toEqual(['1', '2']);
    const { processes } = (await (await fetch(`${admin}/stats`)).json()) as { processes: { pid: number }[] };
    process.kill(processes[0]?.pid as number, 'SIGKILL');
    await expect
      .poll(async () =>
        readValue(await scrape(admin), 'lido_process_restarts_total', { cause: 'by SIGKILL' }),
      )
      .toBe(1);
    await expect.poll(async () => processesOf(await scrape(admin)), { timeout: 5000 }).toEqual(['1', '2']);
    expect(readValue(await scrape(admin), 'lido_requests_total', { status: '2xx' })).toBe(20);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });
});

it('is nowhere unless asked for, and not where applications are', async () => {
  const { server, port } = await startServer(hello);
  expect(server.adminAddresses).toEqual([]);
  expect((await exchange(port, get('/metrics'))).body.toString()).toBe('Hello, world!\n');
});

it('is asked by the names in adminHosts', async () => {
  const { server } = await startServer({ ...hello, ...ADMIN, adminHosts: ['metrics.internal'] });
  const port = Number(new URL(server.adminAddresses[0] as string).port);
  const ask = async (host: string) =>
    (await exchange(port, `GET /health/live HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status;
  expect([await ask('metrics.internal'), await ask('evil.example')]).toEqual([200, 403]);
});

it('has a dashboard for Grafana that shows all there is, and asks for nothing else', async () => {
  const { port, admin } = await serve({ ...hello, timeout: 1 });
  await exchange(port, get('/'));
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  const source = readFileSync(`${root}src/observe/metrics.ts`, 'utf8');
  const all = [...source.matchAll(/'((?:lido|process)_\w+)'/g)].map(([, name]) => name as string);
  const dashboard = JSON.parse(readFileSync(`${root}deploy/grafana-dashboard.json`, 'utf8')) as {
    panels: { targets?: { expr: string; legendFormat?: string }[] }[];
  };
  const targets = dashboard.panels.flatMap(({ targets = [] }) => targets);
  const asked = new Set<string>();
  for (const { expr, legendFormat = '' } of targets) {
    const names = expr
      .match(/\b(?:lido|process)_\w+/g)
      ?.map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    for (const name of names ?? []) {
      asked.add(name);
      const sample = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\}`, 'm').exec(metrics)?.[1];
      // Some are there only once something has gone wrong.
      if (sample === undefined) continue;
      const labels = ['instance', ...[...sample.matchAll(/(\w+)="/g)].map(([, label]) => label)];
      const wanted = [
        ...(/by \((.*?)\)/.exec(expr)?.[1]?.split(', ') ?? []),
        ...legendFormat.matchAll(/(?<=\{\{)\w+/g),
      ];
      expect(labels, expr).toEqual(expect.arrayContaining(wanted.map(String)));
    }
  }
  expect([...asked].sort()).toEqual(
    [...new Set(all)].filter((name) => name !== 'lido_application_info').sort(),
  );
});

function checkBuckets(samples: readonly { labels: Readonly<Record<string, string>>; value: number }[]): void {
  const bounds = samples.map(({ labels }) =>
    Number(labels.le === '+Inf' ? Number.POSITIVE_INFINITY : labels.le),
  );
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
  expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY);
  const values = samples.map(({ value }) => value);
  expect(values).toEqual([...values].sort((a, b) => a - b));
}

function processesOf(families: Awaited<ReturnType<typeof scrape>>): string[] {
  const samples = families.flatMap((family) => family.samples);
  return [...new Set(samples.flatMap(({ labels }) => labels.process ?? []))].sort();
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as { port: number };
  await new Promise((resolve) => holder.close(resolve));
  return port;
}
