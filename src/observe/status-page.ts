/** Main thread. The status page, in one piece, and the events that keep it up to date. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { send } from './admin-server.js';
import type { Hub, Overview } from './hub.js';

/** A browser that takes nothing for so long misses seconds in between, rather than fill memory. Bytes. */
const MAX_WAITING = 1024 * 1024;

interface Page {
  readonly html: string;
  /** What it may do: run its own script, use its own style, ask its own origin; and nothing that anybody else put there. */
  readonly policy: string;
}

let page: Page | null = null;

export function sendStatusPage(response: ServerResponse): void {
  page ??= buildPage();
  response.setHeader('Content-Security-Policy', page.policy);
  send(response, 200, 'text/html; charset=utf-8', page.html);
}

/** Server-sent events (HTML, section 9.2): an overview at once, and one each second until the browser goes. */
export async function sendEvents(response: ServerResponse, hub: Hub): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const tell = (overview: Overview) => {
    if (response.writableLength < MAX_WAITING) response.write(`data: ${JSON.stringify(overview)}\n\n`);
  };
  response.once('close', hub.watch(tell));
  await hub.refresh();
  tell(hub.overview());
}

function buildPage(): Page {
  const style = read('page.css');
  const script = read('page.js');
  // A function, for a string would have its dollar signs replaced.
  const html = read('page.html')
    .replace('/*style*/', () => style)
    .replace('/*script*/', () => script);
  const policy = [
    "default-src 'none'",
    `style-src '${hash(style)}'`,
    `script-src '${hash(script)}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
  return { html, policy };
}

function read(name: string): string {
  return readFileSync(new URL(`./status-page/${name}`, import.meta.url), 'utf8');
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
