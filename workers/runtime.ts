// Worker thread. What main.ts asks of whatever runs the application.
import type { InterruptTarget, SessionStart } from '../src/contract/protocol.js';
import type { RequestBody } from './request-body.js';
import type { Sender } from './sender.js';

/** A request that this worker has claimed, as a JavaScript application gets it. */
export interface WorkerRequest {
  readonly id: number;
  /** The environ as it came over the port; see KEYS_END in protocol.ts. */
  readonly environ: string;
  readonly body: RequestBody;
  readonly sender: Sender;
}

/** Runs one application in one worker: JavaScript in javascript/gateway.ts, CPython in python/cpython.ts. */
export interface Runtime {
  /** For people: "Node.js 20.20.2", "CPython 3.11.7". */
  readonly description: string;
  /** For whoever may have to interrupt Python in this thread; null where there is none. */
  readonly interruptTarget: InterruptTarget | null;
  /** The descriptor that wakes the event loop of a runtime that is none of Node's; null where there is none. */
  readonly bell: number | null;
  /** The application has an end of its own, which is waited for. */
  readonly hasEnd: boolean;
  /** Answers requests until the main thread closes the session. Whatever happens, each is ended exactly once. Never throws. */
  serve(start: SessionStart): void | Promise<void>;
  /** Lets go of what the runtime holds; the thread ends soon after. */
  close(): void;
}
