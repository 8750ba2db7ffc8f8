/** Main thread. A socket that another process is to read. */
import type { Socket } from 'node:net';

/** The handle beneath a socket, which Node's types lack. */
interface ReadingHandle {
  /** What net.Socket goes by when it is to read on. */
  reading: boolean;
  readStop(): number;
}

/**
 * Leaves what comes from now on in the kernel: pause() alone reads on until the stream's buffer is full. resume() reads on.
 * False where the socket has no handle any more.
 */
export function stopReading(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<ReadingHandle> | null };
  if (handle?.readStop === undefined) return false;
  socket.pause();
  handle.reading = false;
  return handle.readStop() === 0;
}
