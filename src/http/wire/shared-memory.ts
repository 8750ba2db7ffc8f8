/**
 * Main thread. Has all connections read into one block of memory. By itself net.Socket fetches new memory for each packet, wraps it
 * up and passes it through its stream, which takes as long as to parse a small request. Its option `onread` has one's own memory filled, but only
 * who makes a socket can give it, and these come from a net.Server or from another process. So what the option sets is set later. Where
 * Node.js keeps that elsewhere, or has it no more, packets come by 'data'.
 */
import { Socket } from 'node:net';

/** As much as Node.js reads at once by itself. Bytes. */
const SIZE = 64 * 1024;

const memory = Buffer.allocUnsafeSlow(SIZE);

/** What `onread` takes: is told how many bytes have come, and says whether to read on. */
type Callback = (size: number) => boolean;

/** A socket with what its type does not tell. */
type OpenSocket = Socket &
  Record<symbol, unknown> & { readonly _handle?: { useUserBuffer?(memory: Buffer): void } | null };

/** The properties in which a socket has its memory and its callback. */
interface Door {
  readonly memory: symbol;
  readonly callback: symbol;
}

const door = findDoor();

/** Asks for it in the way that is documented, and looks where it went. Null where it is nowhere. */
function findDoor(): Door | null {
  // Windows is given the memory long before something comes.
  if (process.platform === 'win32') return null;
  const callback: Callback = () => true;
  // Node's types know `onread` for connect() alone.
  const options = { readable: true, onread: { buffer: memory, callback } };
  const socket = new Socket(options) as OpenSocket;
  const find = (value: unknown) => Object.getOwnPropertySymbols(socket).find((key) => socket[key] === value);
  const places = { memory: find(memory), callback: find(callback) };
  return places.memory === undefined || places.callback === undefined ? null : (places as Door);
}

class SharedMemory {
  /**
   * From now on `take` is given what comes, instead of those who listen to 'data'. The bytes are good until it returns; what is kept
   * of them goes through own(). Nothing changes where this Node.js cannot do that.
   */
  readInto(socket: Socket, take: (bytes: Buffer) => void): void {
    // What TLS decrypts may come amid a write, while somebody still looks at what came before.
    if (door === null || 'encrypted' in socket) return;
    const open = socket as OpenSocket;
    if (!isShared(open)) {
      if (typeof open._handle?.useUserBuffer !== 'function') return;
      open[door.memory] = memory;
      open._handle.useUserBuffer(memory);
    }
    const callback: Callback = (size) => {
      take(memory.subarray(0, size));
      return true;
    };
    open[door.callback] = callback;
  }

  /** What comes from now on goes to those who listen to 'data' again. */
  leave(socket: Socket): void {
    const open = socket as OpenSocket;
    if (door === null || !isShared(open)) return;
    const callback: Callback = (size) => socket.push(this.own(memory.subarray(0, size)));
    open[door.callback] = callback;
  }

  /** The same bytes for as long as one likes: copied where the next packet of any connection would overwrite them. */
  own(bytes: Buffer): Buffer {
    if (bytes.buffer !== memory.buffer) return bytes;
    // Not from the pool, of which a few bytes that are kept hold eight thousand.
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    return copy;
  }
}

/** The one of this process. */
export const sharedMemory = new SharedMemory();

function isShared(socket: OpenSocket): boolean {
  return door !== null && socket[door.memory] === memory;
}
