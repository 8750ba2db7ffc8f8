/** Main thread. [8] A body that the application left in a file ► ServerResponse: no worker waits for the client. */
import { close, createReadStream, openSync } from 'node:fs';
import { LidoError } from '../contract/errors.js';
import type { Exchange } from './exchange.js';

/** An open file and the part of it that is sent, in bytes. */
export interface FileBody {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/** Read at once. Half as much takes a third more time, twice as much is no quicker. Bytes. */
const BLOCK_SIZE = 256 * 1024;

/** A descriptor of one's own for an open file; null where that cannot be had. */
export function openAgain(fd: number): number | null {
  try {
    // Where /dev/fd gives a duplicate, it shares its offset: what is read here is read by position.
    return openSync(`/dev/fd/${fd}`, 'r');
  } catch {
    return null;
  }
}

/** What it takes of an exchange, or of whatever else answers with a file. */
export type FileAnswer = Pick<Exchange, 'writer' | 'fail'>;

/** Writes head and file, and closes the file whatever happens. A file that is cut short meanwhile aborts the response. */
export function sendFile(exchange: FileAnswer, head: string, { fd, position, length }: FileBody): void {
  const { writer } = exchange;
  writer.writeHead(head, '');
  const size = Math.min(length, writer.remaining ?? length);
  if (size === 0) {
    close(fd);
    conclude(exchange);
    return;
  }
  const file = createReadStream('', {
    fd,
    start: position,
    end: position + size - 1,
    highWaterMark: BLOCK_SIZE,
  });
  writer.listen({ acknowledge: () => file.resume(), stop: () => file.destroy() });
  file.on('data', (block) => {
    writer.writeBlock(block);
    if (writer.isBlocked) file.pause();
  });
  file.once('end', () => conclude(exchange));
  file.once('error', (error) => exchange.fail(new LidoError('LIDO_FILE_NOT_READABLE', [error.message])));
  writer.onceClosed(() => file.destroy());
}

function conclude(exchange: FileAnswer): void {
  const error = exchange.writer.end();
  if (error !== null) exchange.fail(error);
}
