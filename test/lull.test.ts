// A lull, in which connections go before requests: what clients say meanwhile is kept.
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { lull } from '../dist/src/http/wire/lull.js';
import { get, RawClient } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

/** Longer than a test lasts. */
const LONG_MS = 60_000;

describe('a lull', () => {
  afterEach(() => {
    lull.end();
    vi.restoreAllMocks();
  });

  it('keeps what clients say until it is over, and loses none of it', async () => {
    const { port } = await startServer(fixture('javascript', 'hello'));
    const clients = [new RawClient(port), new RawClient(port)];
    const keep = vi.spyOn(lull, 'keep');
    lull.begin(LONG_MS);
    for (const client of clients) client.send(get('/') + get('/'));
    await vi.waitFor(() => expect(keep).toHaveBeenCalledTimes(2));
    for (const { socket } of clients) expect(socket.bytesRead).toBe(0);
    lull.end();
    for (const client of clients) {
      expect((await client.readResponse()).status).toBe(200);
      expect((await client.readResponse()).status).toBe(200);
    }
  });

  it('ends by itself', async () => {
    const { port } = await startServer(fixture('javascript', 'hello'));
    const client = new RawClient(port);
    lull.begin();
    client.send(get('/'));
    expect((await client.readResponse()).status).toBe(200);
    expect(lull.isHere).toBe(false);
  });

  it('keeps no more of a client than what is read ahead elsewhere', async () => {
    const { port } = await startServer(fixture('javascript', 'hello'));
    const client = new RawClient(port);
    lull.begin(LONG_MS);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(30_000)}`);
    expect((await client.readResponse()).status).toBe(431);
    expect(lull.isHere).toBe(true);
  });

  it('puts off the time-outs of clients that have said something, and of no others', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'hello'), headerTimeout: 1 });
    const [silent, other] = [new RawClient(port), new RawClient(port)];
    const keep = vi.spyOn(lull, 'keep');
    lull.begin(LONG_MS);
    other.send(get('/'));
    await vi.waitFor(() => expect(keep).toHaveBeenCalledTimes(1));
    expect((await silent.readResponse()).status).toBe(408);
    expect(other.socket.bytesRead).toBe(0);
    lull.end();
    expect((await other.readResponse()).status).toBe(200);
  });

  it('does no harm where a client leaves meanwhile', async () => {
    const { port, server } = await startServer(fixture('javascript', 'hello'));
    const gone = new RawClient(port);
    const keep = vi.spyOn(lull, 'keep');
    lull.begin(LONG_MS);
    gone.send(get('/'));
    await vi.waitFor(() => expect(keep).toHaveBeenCalledTimes(1));
    gone.socket.resetAndDestroy();
    await once(gone.socket, 'close');
    await vi.waitFor(() => expect(server.connections).toBe(0));
    lull.end();
    const other = new RawClient(port);
    other.send(get('/'));
    expect((await other.readResponse()).status).toBe(200);
  });
});
