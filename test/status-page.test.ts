// The status page: what an operator sees of it, and what a stranger cannot do to it.
import { createHash } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isDoneWithout, openPage } from './support/chromium.js';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const HOSTILE = '/<img/src=x/onerror=alert(1)>';

async function serve(settings: object = fixture('javascript', 'hello')) {
  const running = await startServer({ ...settings, admin: ['127.0.0.1:0'] });
  return { ...running, admin: running.server.adminAddresses[0] as string };
}

it('is one page that asks for nothing else, and may run its own script alone', async () => {
  const { admin } = await serve();
  const response = await fetch(`${admin}/`);
  const html = await response.text();
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/^default-src 'none'; /);
  expect(policy).not.toMatch(/unsafe|\*|http/);
  for (const tag of ['style', 'script']) {
    const inside = new RegExp(`<${tag}>([\\s\\S]*)</${tag}>`).exec(html)?.[1] ?? '';
    expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(inside).digest('base64')}'`);
  }
  expect(html).not.toMatch(/ (src|href|style|on\w+)=/);
  expect(html.match(/https?:\/\/[^'"]+/g)).toEqual(['http://www.w3.org/2000/svg']);
});

it('is told of each second by an event, the first at once', async () => {
  const { admin, port } = await serve();
  await exchange(port, get('/'));
  const response = await fetch(`${admin}/events`);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  onTestFinished(() => reader.cancel());
  const first = new TextDecoder().decode((await reader.read()).value);
  expect(JSON.parse(first.slice('data: '.length))).toMatchObject({
    requests: 1,
    readiness: { isReady: true },
  });
  expect(new TextDecoder().decode((await reader.read()).value)).toMatch(/^data: \{/);
});

describe.skipIf(isDoneWithout)('in a browser', () => {
  it('shows what is asked, what each worker runs, and what went wrong', async () => {
    const folder = makeFolder({
      'busy.mjs': `export function application(environ) {
        if (environ.PATH_INFO === '/wait') return new Promise(() => {});
        throw new Error('<script>alert(2)</script>');
      }`,
    });
    const { port, admin } = await serve({
      application: `${folder}/busy.mjs`,
      gracefulTimeout: 0.1,
      threads: 2,
    });
    const { page, faults } = await openPage(admin);
    void exchange(port, get('/wait')).catch(() => {});
    let isAsking = true;
    const asked = (async () => {
      while (isAsking) await exchange(port, get(HOSTILE, 'User-Agent: <script>alert(3)</script>\r\n'));
    })();
    await page.getByText('ready', { exact: true }).waitFor();
    const workers = page.locator('#workers tr');
    await expect.poll(async () => (await workers.allTextContents()).join('\n')).toContain('busyGET /wait');
    await expect
      .poll(async () => Number.parseFloat((await page.textContent('#rate')) ?? ''), { timeout: 5000 })
      .toBeGreaterThan(0);
    await expect.poll(() => page.textContent('#slowest')).toContain(`GET ${HOSTILE}`);
    expect(await page.textContent('#failures')).toMatch(/\dLIDO_APPLICATION_RAISED/);
    const error = page.locator('#errors details').first();
    expect(await error.textContent()).toContain(`GET ${HOSTILE}`);
    expect(await error.locator('pre').textContent()).toContain('Error: <script>alert(2)</script>');
    expect(await page.locator('img').count()).toBe(0);
    isAsking = false;
    await asked;
    expect(faults).toEqual([]);
  });

  it('keeps open what somebody reads, and stands still on demand', async () => {
    const { port, admin } = await serve(fixture('javascript', 'failsBefore'));
    await exchange(port, get('/'));
    const { page, faults } = await openPage(admin);
    await page.locator('#errors summary').first().click();
    const told = () => page.textContent('#processes');
    const before = await told();
    await expect.poll(told, { timeout: 5000 }).not.toBe(before);
    expect(await page.locator('#errors details').first().getAttribute('open')).toBe('');
    await page.getByRole('button', { name: 'Pause' }).click();
    const still = await told();
    // Three events, and two seconds between them, as the page gets them too.
    const reader = ((await fetch(`${admin}/events`)).body as ReadableStream<Uint8Array>).getReader();
    for (let count = 0; count < 3; count += 1) await reader.read();
    await reader.cancel();
    expect(await told()).toBe(still);
    expect(faults).toEqual([]);
  });

  it.each(['light', 'dark'] as const)('is readable on a phone, %s', async (colorScheme) => {
    const { port, admin } = await serve();
    await exchange(port, get(`/${'long/'.repeat(100)}`));
    const { page, faults } = await openPage(admin, { width: 360, height: 740, colorScheme });
    await expect.poll(() => page.textContent('#slowest')).toContain('long/long');
    const { wide, ground } = (await page.evaluate(`({
      wide: document.documentElement.scrollWidth > innerWidth,
      ground: getComputedStyle(document.body).backgroundColor,
    })`)) as { wide: boolean; ground: string };
    expect(wide).toBe(false);
    expect(ground).toBe(colorScheme === 'light' ? 'rgb(246, 247, 249)' : 'rgb(20, 23, 28)');
    expect(faults).toEqual([]);
  });

  it('says that the server is gone', async () => {
    const { admin, server } = await serve();
    const { page } = await openPage(admin);
    await page.getByText('ready', { exact: true }).waitFor();
    await server.close();
    await page.getByText('not reached').waitFor();
  });
});
