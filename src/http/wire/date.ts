/** Main thread. The Date field of the current second. RFC 9110, section 6.6.1. */

let line = '';
let goodUntil = 0;

/** With its CRLF. */
export function dateLine(): string {
  const now = Date.now();
  // A clock that was set back makes the line wrong, too.
  if (now >= goodUntil || now < goodUntil - 1000) {
    line = `Date: ${new Date(now).toUTCString()}\r\n`;
    goodUntil = now - (now % 1000) + 1000;
  }
  return line;
}
