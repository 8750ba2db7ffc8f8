// The parser by itself: where packets end, what is met before it is whole, and what is remembered from one head to the next.
import { describe, expect, it } from 'vitest';
import { HeadParser } from '../../../../dist/src/http/wire/head-parser.js';

const limits = { requestLine: 100, fields: 5, fieldSize: 50 };
const whole = 'POST /a?b HTTP/1.1\r\nHost: lido.test\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 3\r\n\r\n';

/** What the parser makes of these packets, one after the other; each is read to its end, or to the head's. */
function read(...packets: string[]) {
  const parser = new HeadParser(limits);
  let left = '';
  for (const packet of packets) {
    const bytes = Buffer.from(packet, 'latin1');
    left = packet.slice(parser.read(bytes, 0));
    if (parser.head !== null || parser.refusal !== null) break;
  }
  return { parser, left };
}

describe('a head', () => {
  it('is the same wherever its packets end', () => {
    const { head } = read(whole).parser;
    expect(head).toMatchObject({
      method: 'POST',
      target: '/a?b',
      version: '1.1',
      fieldCount: 4,
      bodyLength: 3,
      keepsConnection: true,
    });
    expect(head?.fields.get('HTTP_X_A')).toBe('1,2');
    for (let place = 1; place < whole.length; place += 1)
      expect(read(whole.slice(0, place), whole.slice(place)).parser.head).toEqual(head);
    expect(read(...whole).parser.head).toEqual(head);
  });

  it('leaves what is behind it', () => {
    expect(read(`${whole}abc`).left).toBe('abc');
  });

  it('says nothing of the next one', () => {
    const { parser } = read('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(parser.head?.keepsConnection).toBe(false);
    parser.reset();
    expect(parser.isWithin).toBe(false);
    parser.read(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 0);
    expect(parser.head).toMatchObject({ keepsConnection: true, fieldCount: 1, bodyLength: 0 });
  });
});

describe('what is too long is refused before the rest has come', () => {
  it.each([
    ['a request line', 414, `GET /${'x'.repeat(100)}`],
    ['a field', 431, `GET / HTTP/1.1\r\nX: ${'x'.repeat(50)}`],
    ['a head of many fields', 431, `GET / HTTP/1.1\r\n${'X: a\r\n'.repeat(6)}`],
  ])('%s', (_name, status, text) => {
    expect(read(text).parser.refusal?.status).toBe(status);
    expect(read(...text).parser.refusal?.status).toBe(status);
  });

  it('and what is no text at all', () => {
    expect(read('\x16\x03\x01').parser.refusal?.status).toBe(400);
  });
});

describe('a refusal names its section', () => {
  it.each([
    ['GET / HTTP/1.1\r\n\r\n', 'no Host field (RFC 9112, 3.2)'],
    ['GET a HTTP/1.1\r\n', 'malformed target (RFC 9112, 3.2)'],
    ['get / HTTP/1.1\r\n', 'no such method is served here (RFC 9110, 9.1)'],
    ['GET / HTTP/2.0\r\n', 'HTTP/2.0 is not served here: use HTTP/1.1 (RFC 9110, 15.6.6)'],
    ['GET / HTTP/1.1\r\nA : b\r\n', 'malformed header field (RFC 9112, 5)'],
    ['GET / HTTP/1.1\r\nContent_Length: 3\r\n', 'Content_Length poses as a field that frames (RFC 9112, 6)'],
  ])('%j', (text, reason) => {
    expect(read(text).parser.refusal?.reason).toBe(reason);
  });
});
