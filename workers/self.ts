// Worker thread. What a thread knows of itself, for whoever watches: its number in the system, its heap.
import { readlinkSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { HEAP_LIMIT, HEAP_USED } from '../src/contract/protocol.js';

/** Milliseconds. */
const TELL_EACH_MS = 1000;

/** Linux's number of this thread, 0 where the system tells none. proc(5) */
export function findNativeThread(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  } catch {
    return 0;
  }
}

/** Keeps the control words for V8's heap up to date, as often as the application lets the event loop go round. Returns what ends it. */
export function tellHeap(control: Int32Array): () => void {
  const tell = () => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    control[HEAP_USED] = used / 1024;
    control[HEAP_LIMIT] = limit / 1024;
  };
  tell();
  const timer = setInterval(tell, TELL_EACH_MS).unref();
  return () => clearInterval(timer);
}
