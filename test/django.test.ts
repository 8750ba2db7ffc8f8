// What Django has beside the pages of test/frameworks.test.ts: its admin, its pages for errors, asynchronous views.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Browser } from './support/browser.js';
import { SUPERUSER, serveDjangoSite } from './support/django-site.js';
import { root } from './support/server.js';

describe("Django's admin", () => {
  it('lets a superuser log in, add a row with a file, find it, and log out', async () => {
    const { url, folder } = await serveDjangoSite();
    const browser = new Browser(url);
    const asked = await browser.fetch('/admin/');
    expect([asked.status, asked.headers.get('location')]).toEqual([302, '/admin/login/?next=/admin/']);

    const wrong = { ...SUPERUSER, password: 'shallow', next: '/admin/' };
    const refused = await browser.post('/admin/login/', {
      ...wrong,
      ...(await readToken(browser, '/admin/login/')),
    });
    expect([refused.status, await refused.text()]).toEqual([200, expect.stringContaining('errornote')]);
    const login = { ...SUPERUSER, next: '/admin/', ...(await readToken(browser, '/admin/login/')) };
    const entered = await browser.post('/admin/login/', login);
    expect([entered.status, entered.headers.get('location')]).toEqual([302, '/admin/']);
    expect(await browser.text('/admin/')).toContain('Site administration');

    const picture = readFileSync(`${root}docs/mandelbrot.png`);
    const row = new FormData();
    for (const [name, value] of Object.entries(await readToken(browser, '/admin/django_site/photo/add/')))
      row.set(name, value);
    row.set('title', 'Seeblick, größer');
    row.set('file', new Blob([picture], { type: 'image/png' }), 'lake.png');
    row.set('_save', 'Save');
    const saved = await browser.post('/admin/django_site/photo/add/', row);
    expect([saved.status, saved.headers.get('location')]).toEqual([302, '/admin/django_site/photo/']);
    const list = await browser.text('/admin/django_site/photo/');
    expect(list).toContain('was added successfully');
    expect(list).toContain('Seeblick, größer</a>');
    expect(await (await fetch(`${url}/photos`)).json()).toEqual({ 'Seeblick, größer': 'photos/lake.png' });
    expect(readFileSync(`${folder}/media/photos/lake.png`).equals(picture)).toBe(true);

    const left = await browser.post('/admin/logout/', await readToken(browser, '/admin/'));
    expect(left.status).toBe(200);
    expect((await browser.fetch('/admin/')).status).toBe(302);
  });

  it('refuses a form without its token, and serves its own style sheets', async () => {
    const { url } = await serveDjangoSite();
    const forged = await new Browser(url).post('/admin/login/', SUPERUSER);
    expect([forged.status, await forged.text()]).toEqual([
      403,
      expect.stringContaining('CSRF verification failed'),
    ]);
    const style = await fetch(`${url}/static/admin/css/base.css`);
    expect([style.status, style.headers.get('content-type')]).toEqual([200, 'text/css']);
    expect(await style.text()).toContain('--primary');
  });
});

describe('a Django site', () => {
  it('shows its debug pages with DEBUG on', async () => {
    const { url } = await serveDjangoSite([], { SITE_DEBUG: 'yes' });
    const failed = await fetch(`${url}/raise?name=ada`, { headers: { Accept: 'text/html' } });
    const page = await failed.text();
    expect(failed.status).toBe(500);
    for (const part of ['ZeroDivisionError', 'views.py', 'lido.request_id', 'wsgi.file_wrapper'])
      expect(page).toContain(part);
    const missing = await fetch(`${url}/nowhere`);
    expect([missing.status, await missing.text()]).toEqual([
      404,
      expect.stringContaining('Using the URLconf defined in'),
    ]);
    const stranger = await fetch(`${url}/`, { headers: { 'X-Forwarded-Host': 'evil.test' } });
    expect(stranger.status).toBe(200);
  });

  it('runs asynchronous views, with the database, one loop after the other', async () => {
    const { url } = await serveDjangoSite(['--threads', '2']);
    const answers = await Promise.all(
      ['ada', 'grace', 'joan'].map(async (name) => (await fetch(`${url}/async?name=${name}`)).text()),
    );
    expect(answers).toEqual(['ada', 'grace', 'joan'].map((name) => `later, ${name}: 0 photos`));
  });
});

/** The token that a page's form sends back, with the cookie that belongs to it. */
async function readToken(browser: Browser, path: string): Promise<{ csrfmiddlewaretoken: string }> {
  const [, token = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(await browser.text(path)) ?? [];
  return { csrfmiddlewaretoken: token };
}
