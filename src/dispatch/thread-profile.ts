/** Main thread. Profiles of a thread by V8, which looks at it also in the midst of a loop. */
import type { Session } from 'node:inspector';
import type { Worker } from 'node:worker_threads';

/** As Chrome's developer tools know it. */
export interface Profile {
  readonly nodes: readonly ProfileNode[];
  /** Ids of nodes: the innermost function whenever V8 looked. */
  readonly samples: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  /** `lineNumber` is where the function begins, counted from 0. */
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
  /** Where it stood while it was the innermost function. Lines are counted from 1. */
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
}

/** What runs until it is stopped. */
export interface RunningProfile {
  stop(): Promise<Profile>;
}

interface ProfileHandle {
  stop(): Promise<string | Profile>;
}

/** In Node 22.20 and 24.8. Node 22 demands a name, which Node 26 refuses. */
type StartProfile = (name?: string) => Promise<ProfileHandle>;

/** What a thread's inspector says. */
interface Reply {
  readonly id?: number;
  readonly result?: { readonly profile?: Profile };
  readonly error?: { readonly message: string };
}

/** Whether Node can look at a thread alone, and without its inspector. */
export function canProfileAlone(thread: Worker): boolean {
  return 'startCpuProfile' in thread;
}

/** Of a thread that may be ended at any moment; call it where that can be done. Rejects where the thread has ended. */
export async function startProfileAlone(thread: Worker): Promise<RunningProfile> {
  const { startCpuProfile } = thread as unknown as { startCpuProfile: StartProfile };
  const handle = await startNamed(startCpuProfile.bind(thread));
  return {
    async stop() {
      const profile = await handle.stop();
      return typeof profile === 'string' ? (JSON.parse(profile) as Profile) : profile;
    },
  };
}

async function startNamed(start: StartProfile): Promise<ProfileHandle> {
  try {
    return await start();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_INVALID_ARG_TYPE') throw error;
    return await start('lido');
  }
}

/**
 * On every version of Node. Within the process, by messages to the
 * thread's inspector: no port is opened, and nothing is paused. Rejects where the thread has ended.
 */
export async function startProfile({ threadId }: Worker): Promise<RunningProfile> {
  // A Node.js can be built without it.
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connect();
  const thread = new ThreadInspector(session);
  try {
    await thread.attach(threadId);
    await thread.ask('Profiler.enable');
    await thread.ask('Profiler.start');
  } catch (error) {
    session.disconnect();
    throw error;
  }
  return {
    async stop() {
      try {
        const { profile } = await thread.ask('Profiler.stop');
        if (profile === undefined) throw new Error('V8 made no profile');
        return profile;
      } finally {
        session.disconnect();
      }
    },
  };
}

/** Any command of node:inspector; @types/node lists those for workers one by one. */
interface PlainSession {
  post(method: string, parameters: object, done: (error: Error | null) => void): void;
  on(event: string, listener: (message: { readonly params: Parameters }) => void): void;
}

interface Parameters {
  readonly sessionId: string;
  readonly workerInfo: { readonly title: string };
  readonly message: string;
}

class ThreadInspector {
  readonly #session: PlainSession;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #sessionId = '';
  #lastId = 0;

  constructor(session: Session) {
    this.#session = session as unknown as PlainSession;
    this.#session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
      const reply = JSON.parse(params.message) as Reply;
      if (params.sessionId === this.#sessionId && reply.id !== undefined)
        this.#replies.get(reply.id)?.(reply);
    });
  }

  /** Node attaches to all threads at once, and names each in the title: `[worker 3] name`. */
  async attach(threadId: number): Promise<void> {
    this.#session.on('NodeWorker.attachedToWorker', ({ params }) => {
      if (params.workerInfo.title.startsWith(`[worker ${threadId}]`)) this.#sessionId = params.sessionId;
    });
    await this.#post('NodeWorker.enable', { waitForDebuggerOnStart: false });
    if (this.#sessionId === '') throw new Error('its thread has ended');
  }

  async ask(method: string): Promise<NonNullable<Reply['result']>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const reply = new Promise<Reply>((resolve) => this.#replies.set(id, resolve));
    await this.#post('NodeWorker.sendMessageToWorker', {
      sessionId: this.#sessionId,
      message: JSON.stringify({ id, method }),
    });
    const { result, error } = await reply;
    this.#replies.delete(id);
    if (error !== undefined) throw new Error(error.message);
    return result ?? {};
  }

  #post(method: string, parameters: object): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, parameters, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}
