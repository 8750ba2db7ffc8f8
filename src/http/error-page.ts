/** Main thread. The body of an answer that Lido gives itself. Pure. */
import { STATUS_CODES } from 'node:http';

export interface ErrorPage {
  readonly type: string;
  readonly body: string;
}

/** A small page, as HTML or text. `detail` is for the client's eyes: a rule that was broken, or a traceback with --debug. */
export function buildErrorPage(status: number, detail: string, html: boolean): ErrorPage {
  const title = `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  if (!html)
    return {
      type: 'text/plain; charset=utf-8',
      body: detail === '' ? `${title}\n` : `${title}\n\n${detail}\n`,
    };
  const text = detail === '' ? '' : `<pre>${escapeHtml(detail)}</pre>`;
  return {
    type: 'text/html; charset=utf-8',
    body: `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${text}</body></html>\n`,
  };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
