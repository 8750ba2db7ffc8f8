// Worker thread. What main.ts asks of whatever runs the application.
import type { InterruptTarget } from '../src/contract/protocol.js';
import type { RequestBody } from './request-body.js';
import type { Sender } from './sender.js';

/** A request that this worker has claimed. */
export interface WorkerRequest {
  readonly id: number;
  /** The environ as it came over the port; see KEYS_END in protocol.ts. */
  readonly environ: string;
  readonly body: RequestBody;
  readonly sender: Sender;
}

/** Runs one application in one worker: JavaScript in gateway.ts, CPython in python/cpython.ts. */
export interface Runtime {
  /** For people: "Node.js 20.20.2", "CPython 3.11.7". */
  readonly description: string;
  /** For whoever may have to interrupt Python in this thread; null where there is none. */
  readonly interruptTarget: InterruptTarget | null;
  /** True when there is no event loop to serve while idle: the worker then blocks until a request comes. */
  readonly blocking: boolean;
  /** Answers one request; whatever happens, exactly one of the sender's final messages is sent. Never throws. */
  handle(request: WorkerRequest): void | Promise<void>;
  /** Lets go of what the runtime holds; the thread ends soon after. */
  close(): void;
}
