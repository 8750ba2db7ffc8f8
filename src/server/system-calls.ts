/** Main thread. System calls that Node lacks, made through koffi. Loaded only when one is needed. */
import koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** A classic BPF program of one instruction: return 0, take nothing of the packet. linux/filter.h */
const DROP_EVERYTHING = { len: 1, filter: [{ code: 0x06, jt: 0, jf: 0, k: 0 }] };

// Without names, which a second copy of Lido in the thread would find taken.
const instruction = koffi.struct({ code: 'uint16', jt: 'uint8', jf: 'uint8', k: 'uint32' });
const program = koffi.struct({ len: 'uint16', filter: koffi.pointer(instruction) });
const setsockopt = koffi
  .load(null)
  .func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'uint32']);

/**
 * Lets the kernel drop what comes for a listening TCP socket: who tries to connect tries again in a second, while those
 * that are connected already can be accepted in peace. False where the system does not know this: only Linux does.
 */
export function dropNewConnections(fd: number): boolean {
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, DROP_EVERYTHING, koffi.sizeof(program)) === 0;
}
