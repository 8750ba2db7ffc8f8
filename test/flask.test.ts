// What Flask and Werkzeug have beside the pages of test/frameworks.test.ts, and the debug pages of the other frameworks.
import { describe, expect, it } from 'vitest';
import { Browser } from './support/browser.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

const folder = `${root}test/frameworks`;

function serve(callable: string, settings = {}): Promise<RunningServer> {
  return startServer({ application: `${folder}/${callable}`, python: venv, ...settings });
}

describe('Flask', () => {
  it('answers conditional requests and ranges of a file', async () => {
    const { url } = await serve('flask_site.py:application');
    const whole = await fetch(`${url}/download`);
    const etag = whole.headers.get('etag') ?? '';
    const modified = whole.headers.get('last-modified') ?? '';
    const bytes = Buffer.from(await whole.arrayBuffer());
    const ask = async (headers: Record<string, string>) => {
      const response = await fetch(`${url}/download`, { headers });
      return [response.status, Buffer.from(await response.arrayBuffer()).toString('latin1')];
    };
    const part = (start: number, end?: number) => bytes.subarray(start, end).toString('latin1');
    expect(await ask({ 'If-None-Match': etag })).toEqual([304, '']);
    expect(await ask({ 'If-Modified-Since': modified })).toEqual([304, '']);
    expect(await ask({ Range: 'bytes=-7' })).toEqual([206, part(-7)]);
    expect(await ask({ Range: 'bytes=100-', 'If-Range': etag })).toEqual([206, part(100)]);
    expect(await ask({ Range: 'bytes=100-', 'If-Range': '"older"' })).toEqual([200, part(0)]);
  });

  it('builds its links beneath the path that it is mounted at', async () => {
    const application = `${folder}/flask_site.py:application`;
    const { url } = await startServer({ mounts: { '/deep/end': { application, python: venv } } });
    const browser = new Browser(url);
    const posted = await browser.post('/deep/end/form', { name: 'ada' });
    expect([posted.status, posted.headers.get('location')]).toEqual([303, '/deep/end/']);
    expect(await browser.text('/deep/end/')).toContain('ada, visit 1');
    const moved = await browser.fetch('/deep/end/moved');
    expect(moved.headers.get('location')).toBe(`${url}/deep/end/`);
    expect((await browser.fetch('/deep/endless')).status).toBe(404);
  });

  it('runs asynchronous views', async () => {
    const { url } = await serve('flask_site.py:application', { threads: 2 });
    const answers = await Promise.all(
      ['ada', 'grace', 'joan'].map(async (name) => (await fetch(`${url}/async?name=${name}`)).text()),
    );
    expect(answers).toEqual(['later, ada', 'later, grace', 'later, joan']);
  });

  it("shows Werkzeug's page for an exception, whose resources and console answer too", async () => {
    const { url } = await serve('flask_site.py:create_debugged()');
    const failed = await fetch(`${url}/raise`);
    const page = await failed.text();
    expect(failed.status).toBe(500);
    for (const part of ['ZeroDivisionError', 'flask_site.py', 'EVALEX = true']) expect(page).toContain(part);
    const script = await fetch(`${url}/?__debugger__=yes&cmd=resource&f=debugger.js`);
    expect([script.status, script.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('javascript'),
    ]);
  });

  it('writes what it logs beside the request, with the traceback', async () => {
    const { url, findLine } = await serve('flask_site.py:application');
    expect((await fetch(`${url}/raise`)).status).toBe(500);
    const line = await findLine(({ msg }) => msg.includes('Exception on /raise [GET]'));
    expect(line.requestId).toMatch(/-\d+$/);
    await findLine(({ msg }) => msg === 'ZeroDivisionError: division by zero');
  });
});

describe('the page for an exception', () => {
  it("is Bottle's own in its debug mode", async () => {
    const { url } = await serve('bottle_site.py:create_debugged()');
    const page = await (await fetch(`${url}/raise`)).text();
    expect(page).toContain('ZeroDivisionError');
    expect(page).toContain('Traceback:');
  });

  it.each(['text/html', '*/*'])(
    "is Lido's for Pyramid, which has none; with --debug it has the traceback (%s)",
    async (accept) => {
      const { url, findLine } = await serve('pyramid_site.py:application', { debug: true });
      const failed = await fetch(`${url}/raise`, { headers: { Accept: accept } });
      expect(failed.status).toBe(500);
      expect(await failed.text()).toContain('in fail\n    return str(1 / 0)');
      await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    },
  );
});
