/** Main thread. A socket that another process is to read. */
import type { Socket } from 'node:net';

/** The handle beneath a socket, which Node's types lack. */
interface ReadingHandle {
  /** What net.Socket goes by: where it is true, it takes the handle to be reading already. */
  reading: boolean;
  readStart(): number;
  readStop(): number;
}

/**
 * Leaves what comes from now on in the kernel, until readOn(). pause() alone reads on until the stream's buffer is full, and
 * a stream that has given out all it had asks for more in the next turn: unless it believes that it has asked.
 * False where the socket has no handle any more.
 */
export function stopReading(socket: Socket): boolean {
  const handle = handleOf(socket);
  if (handle === null) return false;
  socket.pause();
  handle.reading = true;
  return handle.readStop() === 0;
}

/** Reads again what stopReading() left. */
export function readOn(socket: Socket): void {
  handleOf(socket)?.readStart();
  socket.resume();
}

function handleOf(socket: Socket): ReadingHandle | null {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<ReadingHandle> | null };
  return handle?.readStop === undefined ? null : (handle as ReadingHandle);
}
