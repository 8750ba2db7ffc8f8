/** Main thread. System calls that Node lacks, made through koffi. Loaded only when one is needed. */
import koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** A classic BPF program of one instruction: return 0, take nothing of the packet. linux/filter.h */
const DROP_EVERYTHING = { len: 1, filter: [{ code: 0x06, jt: 0, jf: 0, k: 0 }] };

koffi.struct('sock_filter', { code: 'uint16', jt: 'uint8', jf: 'uint8', k: 'uint32' });
const program = koffi.struct('sock_fprog', { len: 'uint16', filter: 'sock_filter *' });
const libc = koffi.load(null);
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const sock_fprog *value, uint32_t size)',
);

/**
 * Lets the kernel drop what comes for a listening TCP socket: who tries to connect tries again in a second, while those
 * that are connected already can be accepted in peace. False where the system does not know this: only Linux does.
 */
export function dropNewConnections(fd: number): boolean {
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, DROP_EVERYTHING, koffi.sizeof(program)) === 0;
}
