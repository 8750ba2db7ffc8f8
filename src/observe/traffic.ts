/** Main thread. What came of an application's requests, counted. On the way of every request: nothing is made for one. */
import type { LidoError } from '../contract/errors.js';
import type { FinishedRequest } from './finished-request.js';
import { Histogram } from './histogram.js';
import type { RecentError, RecentRestart, SlowRequest, TrafficData } from './snapshot.js';

/** In place of a mount, for requests that go to no application. */
export const NOWHERE = 'none';

/** Anybody may invent methods, and each would be a series of its own: others count as `other`. What was no request has none. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', ''];
const OTHER = METHODS.length;
/** 1xx to 5xx. */
const CLASSES = 5;

/** Lido had no room, or nobody, for a request: how many is all that there is to say. RFC 9110, section 15.6.4. */
const TURNED_AWAY = 503;

/** What is kept to be looked at. */
const MAX_SLOWEST = 10;
const MAX_ERRORS = 20;
const MAX_RESTARTS = 10;
/** A request that ended longer ago is no news. Milliseconds. */
const SLOWEST_FOR_MS = 5 * 60_000;
/** Of a path, a message and a traceback: a few errors must not fill the channel to the supervisor. Characters. */
const MAX_URL = 500;
const MAX_MESSAGE = 1000;
const MAX_TRACEBACK = 10_000;

export class Traffic {
  readonly #requests = new Float64Array((METHODS.length + 1) * CLASSES);
  readonly #duration = new Histogram();
  readonly #wait = new Histogram();
  readonly #failures = new Map<string, number>();
  readonly #restarts = new Map<string, number>();
  readonly #scalings = new Map<string, number>();
  #bytesSent = 0;
  #bytesReceived = 0;
  #slowest: SlowRequest[] = [];
  #errors: RecentError[] = [];
  #lastRestarts: RecentRestart[] = [];
  readonly #mount: string;

  /** `mount` is where the application is mounted: '/' or '/shop'. */
  constructor(mount: string) {
    this.#mount = mount;
  }

  /** A request is over that an application was to have; what Lido refuses at once says nothing of how fast that is. */
  time(request: FinishedRequest): void {
    this.#duration.add(request.durationMs);
    this.#wait.add(request.waitMs);
    const fastest = this.#slowest.at(-1);
    if (
      fastest === undefined ||
      this.#slowest.length < MAX_SLOWEST ||
      request.durationMs > fastest.durationMs
    )
      this.#keepSlow(request);
  }

  /** A request is over, whatever came of it. */
  count(request: FinishedRequest): void {
    const method = METHODS.indexOf(request.method);
    const place = (method < 0 ? OTHER : method) * CLASSES + Math.floor(request.status / 100) - 1;
    this.#requests[place] = (this.#requests[place] as number) + 1;
    this.#bytesSent += request.bytesSent;
    this.#bytesReceived += request.bytesReceived;
  }

  /** A request failed, or was refused. `request` is null where it was not looked at. */
  fail(
    error: LidoError,
    request: { readonly requestId: string; readonly method: string; readonly url: string } | null,
  ): void {
    // Refusals have one code, and their status says why.
    const isRefusal = error.code === 'LIDO_REQUEST_REFUSED';
    increase(this.#failures, isRefusal ? `${error.code} ${error.status}` : error.code);
    // Neither whoever sends nonsense nor a crowd that is turned away must drive the application's errors out of sight.
    const { status = 500 } = error;
    if (status < 500 || status === TURNED_AWAY) return;
    this.#errors.unshift({
      code: error.code,
      message: error.message.slice(0, MAX_MESSAGE),
      traceback: (error.traceback ?? '').slice(-MAX_TRACEBACK),
      requestId: request?.requestId ?? '',
      method: request?.method ?? '',
      url: (request?.url ?? '').slice(0, MAX_URL),
      at: Date.now(),
    });
    this.#errors.length = Math.min(this.#errors.length, MAX_ERRORS);
  }

  /** A connection was not let in. There may be thousands of them, and they say nothing of the application. */
  turnAway({ code }: LidoError): void {
    increase(this.#failures, code);
  }

  /** A worker was replaced, for this reason. */
  restart(error: LidoError): void {
    increase(this.#restarts, error.code);
    const why = `${error.code} ${error.message}`.slice(0, MAX_MESSAGE);
    this.#lastRestarts.unshift({ what: `a worker of ${this.#mount}`, why, at: Date.now() });
    this.#lastRestarts.length = Math.min(this.#lastRestarts.length, MAX_RESTARTS);
  }

  /** So many workers were started because there were too few, or ended where it is negative. */
  scale(change: number): void {
    increase(this.#scalings, change > 0 ? 'up' : 'down', Math.abs(change));
  }

  read(): TrafficData {
    this.#forgetOld();
    return {
      requests: this.#listRequests(),
      failures: Object.fromEntries(this.#failures),
      restarts: Object.fromEntries(this.#restarts),
      scalings: Object.fromEntries(this.#scalings),
      duration: this.#duration.read(),
      wait: this.#wait.read(),
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      slowest: this.#slowest,
      errors: this.#errors,
      lastRestarts: this.#lastRestarts,
    };
  }

  #listRequests(): Record<string, number> {
    const list: Record<string, number> = {};
    for (const [place, count] of this.#requests.entries()) {
      const method = (METHODS[Math.floor(place / CLASSES)] ?? 'other') || 'none';
      if (count > 0) list[`${method} ${(place % CLASSES) + 1}xx`] = count;
    }
    return list;
  }

  #keepSlow({ requestId, method, url, status, durationMs, waitMs }: FinishedRequest): void {
    this.#forgetOld();
    const place = this.#slowest.findIndex((kept) => kept.durationMs < durationMs);
    const slow = {
      requestId,
      method,
      url: url.slice(0, MAX_URL),
      status,
      durationMs,
      waitMs,
      endedAt: Date.now(),
    };
    this.#slowest.splice(place < 0 ? this.#slowest.length : place, 0, slow);
    this.#slowest.length = Math.min(this.#slowest.length, MAX_SLOWEST);
  }

  #forgetOld(): void {
    const since = Date.now() - SLOWEST_FOR_MS;
    this.#slowest = this.#slowest.filter(({ endedAt }) => endedAt >= since);
  }
}

function increase(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
