// Bytes that wait, in memory and in real files.
import { readdirSync, readSync, rmSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LidoError } from '../../../dist/src/contract/errors.js';
import { Budget } from '../../../dist/src/http/budget.js';
import { Spool } from '../../../dist/src/http/spool.js';
import { findFileLimit, SpoolFiles } from '../../../dist/src/http/spool-files.js';
import { makeFolder } from '../../support/command.js';
import { canMount, mountSmall } from '../../support/small-disk.js';

const MiB = 2 ** 20;

interface StoreOptions {
  readonly directory?: string;
  readonly disk?: number;
  readonly memory?: number;
}

function makeStore({ directory = makeFolder({}), disk = 64 * MiB, memory = 64 * MiB }: StoreOptions = {}) {
  const reports: LidoError[] = [];
  const files = new SpoolFiles(directory, disk, (error) => reports.push(error));
  return { budget: new Budget(memory), files, reports, directory };
}

function makeSpool(store: ReturnType<typeof makeStore>, maxFile = Number.POSITIVE_INFINITY) {
  const told: string[] = [];
  const errors: LidoError[] = [];
  let wake = () => {};
  const hear = (name: string, error?: LidoError) => {
    told.push(name);
    if (error !== undefined) errors.push(error);
    wake();
  };
  const spool = new Spool(store, maxFile, {
    more: () => hear('more'),
    room: () => hear('room'),
    overflow: (error) => hear('overflow', error),
    lose: (error) => hear('lose', error),
  });
  onTestFinished(() => spool.close());
  const next = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  /** Takes so many bytes. */
  async function take(size: number): Promise<Buffer> {
    const taken: Uint8Array[] = [];
    for (let left = size; left > 0; ) {
      const chunk = spool.take();
      if (chunk === null) await next();
      else {
        taken.push(chunk);
        left -= chunk.length;
      }
    }
    return Buffer.concat(taken);
  }
  const written = () => new Promise<void>((resolve) => spool.complete(resolve));
  return { spool, told, errors, take, written };
}

/** Bytes that tell their place. */
function makeBytes(size: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let n = 0; n < size; n += 1) bytes[n] = (((n + seed) * 2654435761) >>> 13) & 255;
  return bytes;
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) parts.push(bytes.subarray(start, start + size));
  return parts;
}

/** Files of this process that have no name any more, in this directory. */
async function findOpenFiles(directory: string): Promise<string[]> {
  const links = readdirSync('/proc/self/fd').map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link.startsWith(`${directory}/`));
}

describe('a spool', () => {
  it('keeps what it is given in memory, and counts it', () => {
    const store = makeStore();
    const { spool } = makeSpool(store);
    spool.append(makeBytes(1000));
    expect([spool.length, store.budget.used, store.files.held]).toEqual([1000, 1000, 0]);
    expect(makeBytes(1000).equals(spool.take() ?? Buffer.alloc(0))).toBe(true);
    expect([spool.length, store.budget.used]).toEqual([0, 0]);
    expect(spool.take()).toBe(null);
  });

  it('tells a taker who found nothing that there is something', () => {
    const { spool, told } = makeSpool(makeStore());
    expect(spool.take()).toBe(null);
    spool.append(makeBytes(1));
    spool.append(makeBytes(1));
    expect(told).toEqual(['more']);
  });

  it.each([100, 5000, 65_536, 300_000])(
    'gives all back in order though it goes through a file, in pieces of %d bytes',
    async (size) => {
      const store = makeStore();
      const { spool, take, written } = makeSpool(store);
      const body = makeBytes(3 * MiB);
      const parts = cut(body, size);
      parts.slice(0, 3).forEach((part) => {
        spool.append(part);
      });
      spool.spill();
      parts.slice(3).forEach((part) => {
        spool.append(part);
      });
      await written();
      expect(store.budget.used).toBeLessThan(MiB);
      expect((await take(body.length)).equals(body)).toBe(true);
      expect([spool.length, store.budget.used]).toEqual([0, 0]);
    },
  );

  it('lets somebody take while somebody appends, and does not let its file grow by what was taken', async () => {
    const store = makeStore();
    const { spool, take } = makeSpool(store);
    const body = makeBytes(MiB);
    for (let round = 0; round < 10; round += 1) {
      for (const part of cut(body, 100_000)) spool.append(part);
      spool.spill();
      const first = await take(200_000);
      for (const part of cut(body, 50_000)) spool.append(part);
      const rest = await take(2 * MiB - first.length);
      expect(Buffer.concat([first, rest]).equals(Buffer.concat([body, body]))).toBe(true);
    }
    expect(store.files.held).toBeLessThanOrEqual(2 * MiB);
  });

  it('has a file that nobody sees, and closes it once', async () => {
    const store = makeStore();
    const { spool, written } = makeSpool(store);
    spool.append(makeBytes(MiB));
    spool.spill();
    await written();
    expect(readdirSync(store.directory)).toEqual([]);
    expect(await findOpenFiles(store.directory)).toHaveLength(1);
    spool.close();
    spool.close();
    await vi.waitUntil(async () => (await findOpenFiles(store.directory)).length === 0);
    expect([store.files.held, store.budget.used]).toEqual([0, 0]);
  });

  it('says where its file is once all lies in that, and not while a part is in memory or was taken', async () => {
    const { spool, take, written } = makeSpool(makeStore());
    const body = makeBytes(MiB + 1);
    spool.append(body.subarray(0, 1000));
    expect([spool.file, Buffer.concat(spool.asPieces() ?? []).length]).toEqual([null, 1000]);
    spool.spill();
    spool.append(body.subarray(1000));
    expect([spool.file, spool.asPieces()]).toEqual([null, null]);
    await written();
    const { fd, length } = spool.file ?? { fd: -1, length: 0 };
    const found = Buffer.alloc(length);
    readSync(fd, found, 0, length, 0);
    expect(found.equals(body)).toBe(true);
    await take(1);
    expect(spool.file).toBe(null);
  });

  it('closes its file when it is closed while something is written or read', async () => {
    const store = makeStore();
    for (const turns of [0, 1, 2, 3, 5, 8, 13]) {
      const { spool, told } = makeSpool(store);
      spool.append(makeBytes(MiB));
      spool.spill();
      for (let turn = 0; turn < turns; turn += 1) {
        spool.take();
        await new Promise(setImmediate);
      }
      spool.close();
      const heard = told.length;
      await vi.waitUntil(() => store.files.held === 0);
      expect(told.length).toBe(heard);
    }
    await vi.waitUntil(async () => (await findOpenFiles(store.directory)).length === 0);
    expect([store.budget.used, store.reports]).toEqual([0, []]);
  });

  it('goes through the file as it was put into the room that it gave, and counts what that takes up', async () => {
    const store = makeStore();
    const { spool, take, written } = makeSpool(store);
    const body = makeBytes(3 * MiB + 5000);
    spool.append(body.subarray(0, 100_000));
    for (let start = 100_000; start < body.length; ) {
      const part = body.subarray(start, start + 70_000);
      const room = spool.room().subarray(0, part.length);
      expect(store.budget.used).toBeGreaterThanOrEqual(Math.min(start, 256 * 1024));
      room.set(part.subarray(0, room.length));
      spool.append(room);
      start += room.length;
      if (start > MiB) spool.spill();
    }
    await written();
    expect(spool.file?.length).toBe(body.length);
    expect((await take(body.length)).equals(body)).toBe(true);
  });

  it('is full while its disk is behind, and says when it is not', async () => {
    const { spool, told } = makeSpool(makeStore());
    spool.append(makeBytes(1));
    spool.spill();
    spool.append(makeBytes(2 * MiB));
    expect(spool.isFull).toBe(true);
    await vi.waitUntil(() => told.includes('room'));
    expect(spool.isFull).toBe(false);
  });

  it('is full because of what came while it was writing, too', async () => {
    const { spool, told } = makeSpool(makeStore());
    spool.append(makeBytes(65_536));
    spool.spill();
    while (!spool.isFull) spool.append(makeBytes(65_536));
    await vi.waitUntil(() => told.includes('room'));
    expect(spool.isFull).toBe(false);
  });

  it('moves to its file when the budget wants it to', async () => {
    const store = makeStore({ memory: MiB });
    const { spool, written } = makeSpool(store);
    spool.append(makeBytes(MiB));
    await written();
    expect(store.files.held).toBe(MiB);
    expect(store.budget.used).toBe(0);
  });
});

describe('a spool whose file takes no more', () => {
  it('because it is as large as it may be, keeps all that it has, and has room again once that was taken', async () => {
    const store = makeStore();
    const { spool, told, take } = makeSpool(store, 500_000);
    const body = makeBytes(700_000);
    const parts = cut(body, 100_000);
    for (const part of parts.slice(0, 4)) spool.append(part);
    spool.spill();
    for (const part of parts.slice(4)) spool.append(part);
    await vi.waitUntil(() => told.includes('overflow'));
    expect(spool.isFull).toBe(true);
    expect((await take(700_000)).equals(body)).toBe(true);
    expect(told.at(-1)).toBe('room');
    expect(spool.isFull).toBe(false);
  });

  it('because all files are as large as they may be, says so, and gives its share back', async () => {
    const store = makeStore({ disk: 1000 });
    const { spool, told, errors } = makeSpool(store);
    spool.append(makeBytes(2000));
    spool.spill();
    await vi.waitUntil(() => told.includes('overflow'));
    expect(errors[0]).toMatchObject({ code: 'LIDO_BUFFER_DISK_FULL', status: 503 });
    expect(store.files.held).toBe(0);
    expect(spool.take()?.length).toBe(2000);
  });

  it('because there is no directory, says so once for all', async () => {
    const directory = makeFolder({});
    rmSync(directory, { recursive: true });
    const store = makeStore({ directory });
    for (let count = 0; count < 3; count += 1) {
      const { spool, told, errors } = makeSpool(store);
      spool.append(makeBytes(2000));
      spool.spill();
      await vi.waitUntil(() => told.includes('overflow'));
      expect(errors[0]?.message).toContain(`cannot be kept in a file in ${directory}: ENOENT`);
      expect(makeBytes(2000).equals(spool.take() ?? Buffer.alloc(0))).toBe(true);
    }
    expect(store.reports).toHaveLength(1);
  });

  it.skipIf(!canMount())(
    'because its disk is full, keeps all that it has, and leaves nothing behind',
    async () => {
      const directory = mountSmall();
      const store = makeStore({ directory });
      const body = makeBytes(3 * MiB);
      const { spool, told, errors, take } = makeSpool(store);
      for (const part of cut(body, 200_000)) spool.append(part);
      spool.spill();
      await vi.waitUntil(() => told.includes('overflow'));
      expect(errors[0]?.message).toContain('ENOSPC');
      expect((await take(body.length)).equals(body)).toBe(true);
      spool.close();
      await vi.waitUntil(async () => (await findOpenFiles(directory)).length === 0);
      expect(store.files.held).toBe(0);
      const again = makeSpool(store);
      again.spool.append(body.subarray(0, 500_000));
      again.spool.spill();
      await again.written();
      expect(again.told).not.toContain('overflow');
    },
  );
});

describe('the limit for all files', () => {
  it('is half of what is free', () => {
    const limit = findFileLimit(makeFolder({}), Number.POSITIVE_INFINITY);
    expect(limit).toBeGreaterThan(0);
  });

  it.skipIf(!canMount())(
    'is no more than the memory that there is, where the directory lies in memory',
    () => {
      const directory = mountSmall();
      expect(findFileLimit(directory, 100_000)).toBe(100_000);
      expect(findFileLimit(directory, 10 * MiB)).toBe(MiB / 2);
    },
  );
});
