/** Main thread. An answer that no application gives, with which its connection ends. */
import { STATUS_CODES } from 'node:http';
import { buildErrorPage } from '../error-page.js';
import type { Refusal } from '../gate.js';
import { dateLine } from './date.js';

/** Head and body, in latin-1. `fields`: further lines of the head, each with its CRLF. */
export function formatLastAnswer({ status, reason }: Refusal, fields = ''): string {
  const { type, body } = buildErrorPage(status, reason, false);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n${fields}${dateLine()}Connection: close\r\n\r\n${body}`;
}
