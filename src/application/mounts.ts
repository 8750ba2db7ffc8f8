/** Main thread. The table of applications by their paths, each with workers and settings of its own. */
import { LidoError } from '../contract/errors.js';
import type { Elsewhere } from '../dispatch/elsewhere.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { Budget } from '../http/budget.js';
import { decodePath, encodeAsLatin1 } from '../http/environ.js';
import { answerRefusal } from '../http/refusal.js';
import type { HttpRequest } from '../http/request.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import { createRequestNaming, nameRequest, type RequestNaming } from '../http/request-naming.js';
import type { ResponseSink } from '../http/response-sink.js';
import { parseTarget } from '../http/target.js';
import type { Log } from '../log.js';
import type { Observation } from '../observe/observation.js';
import type { ApplicationObserver } from '../observe/observer.js';
import { type ProfileAnswer, type ProfileRequest, takeProfile } from '../observe/profile.js';
import type { ApplicationSnapshot } from '../observe/snapshot.js';
import { findStacks, type ProcessStacks, type StackParts } from '../observe/stacks.js';
import { NOWHERE } from '../observe/traffic.js';
import { lookAtPython } from '../python/host.js';
import { expandMounts } from '../settings/mounts.js';
import type { Settings } from '../settings/resolve.js';
import { ServedApplication } from './application.js';
import type { ApplicationStats } from './application-stats.js';
import { openBuffers } from './buffers.js';
import { readGateLimits, readTrust } from './client-limits.js';
import { FailurePage } from './failure-page.js';
import type { StaticFiles, Surroundings } from './static/static-files.js';

interface Mount {
  /** As SCRIPT_NAME: '' at the root, '/shop', in latin-1 characters that are UTF-8 bytes. */
  readonly path: string;
  readonly settings: Settings;
  readonly application: ServedApplication;
}

export interface MountOptions {
  /** Who is told what becomes of requests; null for nobody. */
  readonly observation?: Observation | null;
  /** For each application in turn: other processes that serve the same. */
  readonly createElsewhere?: (() => Elsewhere<Exchange> | null) | undefined;
  /** The applications are asked once, and then ended. PEP 3333's `wsgi.run_once`. */
  readonly runsOnce?: boolean;
}

/** In place of a mount, for requests that a file answers. */
const FILES = 'files';

export class MountTable {
  readonly #settings: Settings;
  /** Null where nobody is writing the applications. */
  readonly #failure: FailurePage | null;
  /** Null where no files are served, and before they can be. */
  #files: StaticFiles | null = null;
  readonly #aroundFiles: Surroundings;
  #isDraining = false;
  /** The longest paths first, so that the first that fits is the one. */
  readonly #mounts: readonly Mount[];
  /** Who is told of requests that go to no application; null for nobody. */
  readonly strangers: ApplicationObserver | null;
  /** The names of requests that go to no application. */
  readonly naming: RequestNaming;
  /** Where what clients make the process hold is counted. */
  readonly budget: Budget;
  /** Takes a request whose turn has come. */
  readonly handle: Handle;

  constructor(
    settings: Settings,
    log: Log,
    { observation = null, createElsewhere = () => null, runsOnce = false }: MountOptions = {},
  ) {
    this.#settings = settings;
    this.strangers = observation?.observe(NOWHERE) ?? null;
    this.naming = createRequestNaming(readTrust(settings));
    const store = openBuffers(settings, log);
    this.budget = store.budget;
    this.#mounts = expandMounts(settings)
      .map(([path, own]) => ({
        path: path === '/' ? '' : encodeAsLatin1(path),
        settings: own,
        application: new ServedApplication(
          own,
          log,
          store,
          observation?.observe(path) ?? null,
          createElsewhere(),
          runsOnce,
        ),
      }))
      .sort((one, other) => other.path.length - one.path.length);
    const [only] = this.#mounts;
    // One application at the root is spared the search.
    const handle = settings.mounts === null && only !== undefined ? only.application.handle : this.#route;
    const servesFiles = settings.static !== null;
    this.#aroundFiles = {
      log,
      observer: servesFiles ? (observation?.observe(FILES) ?? null) : null,
      naming: this.naming,
      isDraining: () => this.#isDraining,
    };
    this.#failure = settings.reload ? new FailurePage(settings) : null;
    const guarded = this.#failure?.guard(handle) ?? handle;
    this.handle = servesFiles ? this.#handleFilesFirst(guarded) : guarded;
  }

  /** Answers every request to the applications with what keeps their new code from being loaded. For --reload. */
  showFailure(error: LidoError): void {
    this.#failure?.show(error);
  }

  /** Finds the applications and starts their workers. Rejects with the LidoError of the first that fails, which has the others. */
  async start(): Promise<void> {
    if (this.#settings.static !== null) await this.#openFiles();
    throwFailures(await Promise.allSettled(this.#inOrder().map(({ application }) => application.start())));
  }

  /** Only who serves files pays for loading what does. */
  async #openFiles(): Promise<void> {
    const { StaticFiles } = await import('./static/static-files.js');
    this.#files = new StaticFiles(this.#settings, this.#aroundFiles);
    await this.#files.open();
  }

  /** Loads each application anew, as ServedApplication.reload() does; rejects as start() does. */
  async reload(): Promise<void> {
    throwFailures(await Promise.allSettled(this.#inOrder().map(({ application }) => application.reload())));
  }

  /** "hello.js:application by Node.js 20.20.2 on 2 threads", or a list of such with their paths. */
  describe(): string {
    const [only] = this.#mounts;
    if (this.#settings.mounts === null && only !== undefined) return only.application.describe();
    return this.#inOrder()
      .map(({ path, application }) => `${showPath(path)} (${application.describe()})`)
      .join(', ');
  }

  inspect(): readonly ApplicationSnapshot[] {
    return this.#inOrder().map(({ path, application }) => application.inspect(showPath(path)));
  }

  /** Where every worker stands at this moment. Takes a second where it has to wait for the GIL in vain. */
  async findStacks(): Promise<ProcessStacks> {
    return findStacks(this.#stackParts(), await lookAtPython());
  }

  /** Profiles a worker, if this is the process that is meant. */
  takeProfile(request: ProfileRequest): Promise<ProfileAnswer | null> {
    return takeProfile(this.#stackParts(), request);
  }

  #stackParts(): readonly StackParts[] {
    return this.#inOrder().flatMap(({ path, application }) => application.stackParts(showPath(path)));
  }

  /** Requests that are being answered. */
  get unanswered(): number {
    return this.#mounts.reduce((sum, { application }) => sum + application.unanswered, 0);
  }

  /** True where one of the applications takes WebSockets; known once they are started. */
  get takesWebSockets(): boolean {
    return this.#mounts.some(({ application }) => application.takesWebSockets);
  }

  stats(): readonly ApplicationStats[] {
    return this.#inOrder().map(({ path, application }) => application.stats(showPath(path)));
  }

  /** From now on each answer tells its client that it is the connection's last. */
  announceEnd(isLast: boolean): void {
    for (const { application } of this.#mounts) application.announceEnd(isLast);
  }

  /** Waits until no request waits or runs, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    const files = this.#files?.whenAnswered(graceMs);
    await Promise.all([files, ...this.#mounts.map(({ application }) => application.drain(graceMs))]);
  }

  /** Ends the workers; call drain() first. False when one is stuck inside Python, as ServedApplication.close() says. */
  async close(): Promise<boolean> {
    const ended = await Promise.all(this.#mounts.map(({ application }) => application.close()));
    return ended.every((whole) => whole);
  }

  readonly #route = (
    request: HttpRequest,
    sink: ResponseSink,
    context: RequestContext = PLAIN_CONTEXT,
  ): void => {
    const path = decodePath(parseTarget(context.url ?? request.target).path);
    const within = path.slice(context.scriptName.length);
    const mount = this.#mounts.find((candidate) => fits(candidate.path, within));
    if (mount === undefined) this.#answerNotFound(request, sink, context);
    else mount.application.handle(request, sink, { ...context, scriptName: context.scriptName + mount.path });
  };

  /** A malformed request is called so even where nothing is mounted. */
  #answerNotFound(request: HttpRequest, sink: ResponseSink, context: RequestContext): void {
    const breach = request.check(readGateLimits(this.#settings));
    const refusal = breach ?? { status: 404, reason: 'nothing is served at this path' };
    const { sendTimeout, sendRequestId } = this.#settings;
    const names = nameRequest(this.naming, request, context.requestId);
    const writer = answerRefusal(request, sink, refusal, {
      sendTimeoutMs: sendTimeout * 1000,
      keeps: breach === null,
      requestId: sendRequestId ? names.requestId : null,
    });
    this.strangers?.refused(request, refusal, writer, context, names);
  }

  /** What is no file is the applications' to answer. */
  #handleFilesFirst(handle: Handle): Handle {
    return (request, sink, context = PLAIN_CONTEXT) => {
      const pass = () => handle(request, sink, context);
      if (this.#files === null) pass();
      else this.#files.handle(request, sink, context, pass);
    };
  }

  #inOrder(): readonly Mount[] {
    return [...this.#mounts].sort((one, other) => (one.path < other.path ? -1 : 1));
  }
}

type Handle = (request: HttpRequest, sink: ResponseSink, context?: RequestContext) => void;

/** Throws the first of the failures with the others in it; the same failure of several mounts is one. */
function throwFailures(results: readonly PromiseSettledResult<void>[]): void {
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  if (reasons.length === 0) return;
  const errors = reasons.filter((reason) => reason instanceof LidoError);
  const [first, ...others] = new Map(errors.map((error) => [error.message, error])).values();
  if (first === undefined) throw reasons[0];
  if (others.length > 0) first.others = others;
  throw first;
}

/** /shop fits /shop and /shop/cart, and not /shopping. The root fits all, OPTIONS * too. */
function fits(mount: string, path: string): boolean {
  return (
    mount === '' || (path.startsWith(mount) && (path.length === mount.length || path[mount.length] === '/'))
  );
}

function showPath(path: string): string {
  return path === '' ? '/' : Buffer.from(path, 'latin1').toString();
}
