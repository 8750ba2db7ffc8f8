import { describe, expect, it } from 'vitest';
import { parseProxyHeader } from '../../../dist/src/http/proxy-protocol.js';

const SIGNATURE = '0d0a0d0a000d0a515549540a';

function block(hex: string): Buffer {
  return Buffer.from(SIGNATURE + hex.replaceAll(' ', ''), 'hex');
}

const TCP4 = block('21 11 000c 0a000001 0a000002 d431 01bb');
const TCP6 = block(`21 21 0024 20010db8${'0'.repeat(23)}1 ${'0'.repeat(31)}1 0050 1f90`);

describe('version 1', () => {
  it('tells the client and what it connected to', () => {
    const line = 'PROXY TCP4 203.0.113.7 10.0.0.2 54321 443\r\n';
    expect(parseProxyHeader(Buffer.from(`${line}GET / HTTP/1.1\r\n`))).toEqual({
      length: line.length,
      ends: {
        remoteAddress: '203.0.113.7',
        remotePort: '54321',
        serverAddress: '10.0.0.2',
        serverPort: '443',
      },
    });
    expect(parseProxyHeader(Buffer.from('PROXY TCP6 2001:db8::1 ::1 80 8080\r\n'))).toMatchObject({
      ends: { remoteAddress: '2001:db8::1', serverPort: '8080' },
    });
  });

  it('may not know who it is', () => {
    const line = 'PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n';
    expect(parseProxyHeader(Buffer.from(line))).toEqual({ length: line.length, ends: null });
  });

  it.each([
    'PROXY TCP4 203.0.113.7 10.0.0.2 54321\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.2 54321 443 1\r\n',
    'PROXY TCP4 2001:db8::1 ::1 80 8080\r\n',
    'PROXY TCP4 203.0.113.256 10.0.0.2 1 2\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.2 65536 2\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.2 01 2\r\n',
    'PROXY UDP4 203.0.113.7 10.0.0.2 1 2\r\n',
    `PROXY TCP4 ${'1'.repeat(120)}`,
    'GET / HTTP/1.1\r\n',
    'PROXX ',
    '\r\n\r\nGET',
  ])('is malformed: %j', (text) => {
    expect(parseProxyHeader(Buffer.from(text))).toBe('malformed');
  });
});

describe('version 2', () => {
  it('tells the client and what it connected to, whatever extensions follow', () => {
    expect(parseProxyHeader(TCP4)).toEqual({
      length: 28,
      ends: { remoteAddress: '10.0.0.1', remotePort: '54321', serverAddress: '10.0.0.2', serverPort: '443' },
    });
    expect(parseProxyHeader(TCP6)).toMatchObject({
      length: 52,
      ends: { remoteAddress: '2001:db8:0:0:0:0:0:1', serverAddress: '0:0:0:0:0:0:0:1', serverPort: '8080' },
    });
    const extended = block('21 11 0011 0a000001 0a000002 d431 01bb 04 0002 0000');
    expect(parseProxyHeader(extended)).toMatchObject({ length: 33, ends: { remotePort: '54321' } });
  });

  it('shows an IPv4 client of a proxy that listens on both families as the system does', () => {
    const mapped = '00000000000000000000ffff';
    const header = block(`21 21 0024 ${mapped}cb007107 ${mapped}0a000002 d431 01bb`);
    expect(parseProxyHeader(header)).toMatchObject({
      ends: { remoteAddress: '::ffff:203.0.113.7', serverAddress: '::ffff:10.0.0.2' },
    });
  });

  it('may speak for the proxy itself, or of a family that is no address', () => {
    expect(parseProxyHeader(block('20 00 0000'))).toEqual({ length: 16, ends: null });
    expect(parseProxyHeader(block('21 31 0002 0000'))).toEqual({ length: 18, ends: null });
  });

  it.each([
    ['another version', block('11 11 000c 0a000001 0a000002 d431 01bb')],
    ['another command', block('22 11 000c 0a000001 0a000002 d431 01bb')],
    ['too short for its addresses', block('21 11 0008 0a000001 0a000002')],
    ['longer than any proxy has it', block('21 11 ffff')],
  ])('is malformed: %s', (_what, bytes) => {
    expect(parseProxyHeader(bytes)).toBe('malformed');
  });
});

it('waits for the rest, wherever it is cut', () => {
  const line = Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.2 54321 443\r\n');
  for (const whole of [line, TCP4, TCP6])
    for (let size = 0; size < whole.length; size += 1)
      expect(parseProxyHeader(whole.subarray(0, size))).toBe('incomplete');
});
