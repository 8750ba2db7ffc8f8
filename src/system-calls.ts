/** Main thread. System calls that Node lacks, made through koffi. Loaded only when one is needed. */
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** A classic BPF program of one instruction: return 0, take nothing of the packet. linux/filter.h */
const DROP_EVERYTHING = { len: 1, filter: [{ code: 0x06, jt: 0, jf: 0, k: 0 }] };

// Without names, which a second copy of Lido in the thread would find taken.
const instruction = koffi.struct({ code: 'uint16', jt: 'uint8', jf: 'uint8', k: 'uint32' });
const program = koffi.struct({ len: 'uint16', filter: koffi.pointer(instruction) });
const libc = koffi.load(null);
const setsockopt = libc.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'uint32']);

/**
 * Lets the kernel drop what comes for a listening TCP socket: who tries to connect tries again in a second, while those
 * that are connected already can be accepted in peace. False where the system does not know this: only Linux does.
 */
export function dropNewConnections(fd: number): boolean {
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, DROP_EVERYTHING, koffi.sizeof(program)) === 0;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** What struct sockaddr_un has room for. */
const LONGEST_PATH = 108;

const socket = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func(
  'intptr_t sendto(int fd, const void *data, size_t size, int flags, const void *address, uint32_t length)',
);
const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const shutdown = libc.func('int shutdown(int fd, int how)');
const close = libc.func('int close(int fd)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');
const SHUT_RD = 0;
const F_DUPFD_CLOEXEC = process.platform === 'darwin' ? 67 : 1030;

/**
 * Sends one datagram to a Unix socket, which Node cannot. A path that begins with @ is an abstract one. False where nobody
 * took it.
 */
export function sendDatagram(path: string, text: string): boolean {
  const address = encodeAddress(path);
  if (address === null) return false;
  const fd: number = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const data = Buffer.from(text);
  const sent: number = sendto(fd, data, data.length, 0, address, address.length);
  close(fd);
  return sent === data.length;
}

/**
 * Opens an abstract Unix socket, bound and not yet listened on; returns its descriptor. Node before 22 fills the name up with
 * NULs, so that clients do not find it. Throws an error with a `code` such as EADDRINUSE.
 */
export function bindAbstract(name: string): number {
  const address = encodeAddress(`@${name}`);
  const fd: number = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (address !== null && fd >= 0 && bind(fd, address, address.length) === 0) return fd;
  const code = getSystemErrorName(-koffi.errno());
  if (fd >= 0) close(fd);
  throw Object.assign(new Error(code), { code });
}

/**
 * Lets nobody connect to a listening socket any more. Who is connected already can be accepted from a Unix socket, and is reset where
 * it is one of TCP. Linux.
 */
export function refuseNewConnections(fd: number): void {
  shutdown(fd, SHUT_RD);
}

/** As struct sockaddr_un; null where it has no room. A path that begins with @ is an abstract name. */
function encodeAddress(path: string): Buffer | null {
  const name = Buffer.from(path.replace(/^@/, '\0'));
  if (name.length >= LONGEST_PATH + (path.startsWith('@') ? 1 : 0)) return null;
  const family = Buffer.alloc(2);
  new Uint16Array(family.buffer, family.byteOffset, 1)[0] = AF_UNIX;
  // A path in the file system ends with a NUL, an abstract name where it ends.
  return Buffer.concat([family, name, Buffer.alloc(path.startsWith('@') ? 0 : 1)]);
}

/** linux/wait.h, and macOS's sys/wait.h */
const WNOHANG = 1;

const waitpid = libc.func('int waitpid(int pid, void *status, int options)');

/** Takes a child of this process that has ended out of the system's table, where Node.js does not know of it. */
export function collectChild(pid: number): void {
  waitpid(pid, null, WNOHANG);
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;

const mmap = libc.func(
  'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
);

/** Maps a file into memory, which all share who do the same, until the process ends. Null where that fails. */
export function mapFile(fd: number, bytes: number): ArrayBuffer | null {
  const address: bigint = mmap(null, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return address === MAP_FAILED ? null : koffi.view(address, bytes);
}

/** linux/socket.h: it does not wait for whoever reads too slowly. */
const MSG_DONTWAIT = 0x40;

/** Sends datagrams to one Unix socket, again and again, and never waits for whoever reads there. */
export class DatagramSender {
  readonly #address: Buffer | null;
  #fd = -1;

  /** `path` as for sendDatagram(). */
  constructor(path: string) {
    this.#address = encodeAddress(path);
  }

  /** Null where the system has taken it, else why it has not: ENOENT, ECONNREFUSED, EAGAIN, ENAMETOOLONG. */
  send(text: string): string | null {
    if (this.#address === null) return 'ENAMETOOLONG';
    if (this.#fd < 0) this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const data = Buffer.from(text);
    const sent: number = sendto(
      this.#fd,
      data,
      data.length,
      MSG_DONTWAIT,
      this.#address,
      this.#address.length,
    );
    return sent === data.length ? null : getSystemErrorName(-koffi.errno());
  }

  close(): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }
}

/** Another descriptor of the same file, which programs that are started do not get; -1 where there may be no more. */
export function duplicate(fd: number): number {
  return fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0);
}

/** Ends the process without waiting for its threads, or for what is registered for its end. */
export function exitAtOnce(status: number): never {
  libc.func('_exit', 'void', ['int'])(status);
  throw new Error('_exit() has returned');
}
