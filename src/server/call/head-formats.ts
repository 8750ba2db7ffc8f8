/** Main thread. A response's head as text, for those who are not at the end of a connection. */
import type { Head } from '../../http/response-head.js';

/** As HTTP has it, for people who want to see it. */
export function formatHttpHead(head: Head, length: number | null): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${formatFields(head, length)}`;
}

/** As a web server takes it from a CGI script. RFC 3875, section 6.3.3. */
export function formatCgiHead(head: Head, length: number | null): string {
  return `Status: ${head.status} ${head.reason}\r\n${formatFields(head, length)}`;
}

function formatFields({ fields }: Head, length: number | null): string {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) lines.push(`${fields[index]}: ${fields[index + 1]}`);
  if (length !== null) lines.push(`Content-Length: ${length}`);
  return `${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}
