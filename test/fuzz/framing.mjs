// Holds what a server sent to RFC 9112: a sequence of whole responses, and nothing else.

/** Parses all responses; throws what is wrong. `methods`: of the requests, as far as they are known. */
export function parseResponses(bytes, methods) {
  const responses = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) throw new Error(`a head without an end: ${show(bytes, at)}`);
    const [statusLine, ...fields] = bytes.slice(at, end).split('\r\n');
    const match = /^HTTP\/1\.[01] ([1-5]\d\d) [\x20-\x7e\x80-\xff]*$/.exec(statusLine);
    if (match === null) throw new Error(`no status line: ${show(bytes, at)}`);
    const headers = new Map(fields.map((field) => splitField(field)));
    at = end + 4;
    const status = Number(match[1]);
    const method = methods[responses.filter((response) => response.status >= 200).length];
    const { body, next } = parseBody(bytes, at, status, method, headers);
    at = next;
    responses.push({ status, headers, body });
  }
  return responses;
}

function splitField(field) {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?(.*)$/.exec(field);
  if (match === null) throw new Error(`no header field: ${JSON.stringify(field)}`);
  return [match[1].toLowerCase(), match[2]];
}

function parseBody(bytes, at, status, method, headers) {
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return { body: '', next: at };
  if (headers.get('transfer-encoding') === 'chunked') return parseChunks(bytes, at);
  const length = headers.get('content-length');
  if (length === undefined) return { body: bytes.slice(at), next: bytes.length };
  const next = at + Number(length);
  if (next > bytes.length) throw new Error(`a body of ${bytes.length - at} bytes, declared ${length}`);
  return { body: bytes.slice(at, next), next };
}

function parseChunks(bytes, start) {
  let at = start;
  let body = '';
  for (;;) {
    const match = /^([0-9a-fA-F]+)\r\n/.exec(bytes.slice(at, at + 20));
    if (match === null) throw new Error(`no chunk size: ${show(bytes, at)}`);
    const size = Number.parseInt(match[1], 16);
    at += match[0].length;
    body += bytes.slice(at, at + size);
    at += size;
    if (bytes.slice(at, at + 2) !== '\r\n') throw new Error(`no end of a chunk: ${show(bytes, at)}`);
    at += 2;
    if (size === 0) return { body, next: at };
  }
}

function show(bytes, at) {
  return JSON.stringify(bytes.slice(at, at + 80));
}
