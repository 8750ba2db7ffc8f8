/** Main thread. Asks a thread of its own where the threads of one Python interpreter stand. */
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { LookMessage, LookRequest, LookStart, PythonThread } from '../contract/protocol.js';

const LOOK_FILE = new URL('../../workers/python/look.js', import.meta.url);

/** Who runs Python code gives the GIL up within 5 ms; where C code keeps it for longer than this it may do so for ever. */
const GIL_PATIENCE_MS = 1000;

/** Where the threads of one interpreter stand. */
export interface PythonLook {
  /** Those that are in the midst of Python code. */
  readonly threads: readonly PythonThread[];
  /** Somebody has kept the GIL for a second: `threads` is what can be told without it, which may be nothing. */
  readonly isGilKept: boolean;
  /** Why nothing is known; '' otherwise. */
  readonly failure: string;
}

const GIL_IS_KEPT: PythonLook = { threads: [], isGilKept: true, failure: '' };
const ENDED: PythonLook = { threads: [], isGilKept: false, failure: 'the thread that looks has ended' };

/** One look: the GIL is asked for, and then had. */
interface Look {
  readonly asksForGil: Promise<void>;
  readonly found: Promise<PythonLook>;
}

/** Profiles by a thread of its own; see LookRequest. Rejects where that cannot. */
export async function profilePython(
  start: LookStart,
  request: Extract<LookRequest, readonly ['profile', ...unknown[]]>,
): Promise<string> {
  const worker = new Worker(LOOK_FILE, { execArgv: [], workerData: start });
  worker.unref();
  return await new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread that looks has ended')));
    worker.on('message', (message: LookMessage) => {
      if (message[0] === 'profile') resolve(message[1]);
      if (message[0] === 'failed') reject(new Error(message[1]));
    });
    worker.postMessage(request);
  });
}

export class Looker {
  readonly #start: LookStart;
  #worker: Worker | null = null;
  #look: Look | null = null;

  constructor(start: LookStart) {
    this.#start = start;
  }

  /** A look is under way: its thread waits for the GIL, or has it. */
  get isLooking(): boolean {
    return this.#look !== null;
  }

  /** Waits a second for the GIL. Never rejects. */
  async look(mayEnd = true): Promise<PythonLook> {
    // Several who ask at once are answered from one look, which may take for ever.
    this.#look ??= this.#begin();
    const { asksForGil, found } = this.#look;
    // On a busy machine the thread itself takes its time to start.
    const isKept = asksForGil.then(() => pause(GIL_PATIENCE_MS, GIL_IS_KEPT, { ref: false }));
    const look = await Promise.race([found, isKept]);
    // It ends when it has nothing to do for a while, which may be right now.
    return look === ENDED && mayEnd ? await this.look(false) : look;
  }

  #begin(): Look {
    this.#worker ??= this.#open();
    const worker = this.#worker;
    let ask: () => void = () => {};
    const asksForGil = new Promise<void>((resolve) => {
      ask = resolve;
    });
    const found = new Promise<PythonLook>((resolve) => {
      const end = (look: PythonLook) => {
        worker.off('message', hear).off('exit', leave);
        this.#look = null;
        resolve(look);
      };
      const hear = (message: LookMessage) => {
        switch (message[0]) {
          case 'asking':
            ask();
            return;
          case 'stacks':
            end({ threads: message[1], isGilKept: false, failure: '' });
            return;
          case 'profile':
            return;
          case 'failed':
            end({ threads: [], isGilKept: false, failure: message[1] });
        }
      };
      const leave = () => end(ENDED);
      worker.on('message', hear).on('exit', leave);
      worker.postMessage(['stacks'] satisfies LookRequest);
    });
    return { asksForGil, found };
  }

  #open(): Worker {
    // Flags of the program that embeds Lido are not for this file.
    const worker = new Worker(LOOK_FILE, { execArgv: [], workerData: this.#start });
    worker.unref();
    worker.on('error', () => {});
    worker.once('exit', () => {
      this.#worker = null;
    });
    return worker;
  }
}
