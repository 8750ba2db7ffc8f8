// What a writer makes of heads, lengths and connections, with a way out that writes down what it is told.
import { describe, expect, it } from 'vitest';
import type { ConnectionFate } from '../../../dist/src/http/response-writer.js';
import { ResponseWriter } from '../../../dist/src/http/response-writer.js';

function createWriter({ method = 'GET', isRequestRead = true } = {}) {
  const told: string[] = [];
  const sink = {
    isRequestRead,
    hasClientEnded: false,
    limitSending: () => {},
    writeContinue: () => told.push('continue'),
    writeHead: ({ status }: { status: number }, length: number | null, closes: boolean) => {
      told.push(`${status} ${length} ${closes ? 'close' : 'keep'}`);
      return true;
    },
    flushHead: () => told.push('flush'),
    write: (block: string) => told.push(`write ${block}`) > 0,
    end: (block: string) => told.push(`end ${block}`),
    abort: () => told.push('abort'),
    answerError: () => false,
    onceDrained: () => {},
    onceClosed: () => {},
  };
  return { writer: new ResponseWriter(sink as never, method, 0), told };
}

describe('a head that would split the response', () => {
  it.each(['200 OK\nX-A\na\rb', '200 OK\nX A\na', '200 O\rK', '20 OK', '200 OK\nX-A'])(
    '%j is not sent',
    (head) => {
      const one = createWriter();
      expect(one.writer.writeWhole(head, 'body')?.code).toBe('LIDO_MALFORMED_HEADER');
      expect([one.told, one.writer.state]).toEqual([[], 'unstarted']);
      const other = createWriter();
      const stopped: string[] = [];
      other.writer.listen({ acknowledge: () => {}, stop: ({ code }) => stopped.push(code) });
      other.writer.writeHead(head, 'body');
      expect([other.told, other.writer.state, stopped]).toEqual([
        ['abort'],
        'aborted',
        ['LIDO_MALFORMED_HEADER'],
      ]);
    },
  );
});

describe('a body', () => {
  it('that is whole has its length told', () => {
    const { writer, told } = createWriter();
    writer.writeWhole('200 OK', 'body');
    expect(told).toEqual(['200 4 keep', 'end body']);
  });

  it('is cut at the declared length, and whoever sends more is stopped', () => {
    const { writer, told } = createWriter();
    const stopped: string[] = [];
    writer.listen({ acknowledge: () => {}, stop: ({ code }) => stopped.push(code) });
    writer.writeHead('200 OK\nContent-Length\n5', 'abc');
    writer.writeBlock('def');
    expect([told, stopped]).toEqual([['200 null keep', 'write abc', 'end de'], ['LIDO_BODY_TOO_LONG']]);
  });

  it('that is shorter ends the connection', () => {
    const { writer, told } = createWriter();
    writer.writeHead('200 OK\nContent-Length\n5', 'abc');
    expect(writer.end()?.code).toBe('LIDO_BODY_TOO_SHORT');
    expect(told).toEqual(['200 null keep', 'write abc', 'abort']);
  });

  it('is not sent for HEAD, whose head goes out at once', () => {
    const { writer, told } = createWriter({ method: 'HEAD' });
    writer.writeHead('200 OK', 'abc');
    expect(told).toEqual(['200 null keep', 'flush']);
  });
});

it.each<[ConnectionFate, boolean, string]>([
  ['keep', false, 'keep'],
  ['close', true, 'close'],
  ['undecided', true, 'keep'],
  ['undecided', false, 'close'],
])('a connection whose fate is %s, with the request read: %s, is told to %s', (fate, isRequestRead, told) => {
  const made = createWriter({ isRequestRead });
  made.writer.connection = fate;
  made.writer.writeWhole('204 No Content', '');
  expect(made.told[0]).toBe(`204 null ${told}`);
});

describe('short blocks for a client that takes less than comes', () => {
  it('are joined until it has taken what was sent, and keep their order', () => {
    const sent: string[] = [];
    const drained: (() => void)[] = [];
    let acknowledged = 0;
    const sink = {
      isRequestRead: true,
      limitSending: () => {},
      writeHead: () => true,
      write: (block: string | Buffer) => {
        sent.push(block.toString());
        return false;
      },
      end: (block: string) => sent.push(block),
      onceDrained: (listener: () => void) => drained.push(listener),
      onceClosed: () => {},
    };
    const writer = new ResponseWriter(sink as never, 'GET', 0);
    writer.listen({ acknowledge: (bytes) => (acknowledged += bytes), stop: () => {} });
    writer.bufferBlocks();
    const digits = Array.from({ length: 10_001 }, (_, index) => String(index % 10));
    writer.writeHead('200 OK', digits[0] as string);
    for (const digit of digits.slice(1)) writer.writeBlock(digit);
    expect([sent.length, acknowledged]).toEqual([3, 0]);
    // What is left goes on first, and then what is long.
    for (const listener of drained.splice(0)) listener();
    writer.writeBlock(Buffer.alloc(5000, 'x'));
    writer.end();
    expect(sent.join('')).toBe(`${digits.join('')}${'x'.repeat(5000)}`);
    expect(sent.length).toBeLessThan(10);
  });
});
