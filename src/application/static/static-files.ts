/** Main thread. Files below a path that are answered before the application: no worker is bothered with them. */
import { resolve } from 'node:path';
import picomatch from 'picomatch';
import { LidoError } from '../../contract/errors.js';
import { decodePath, encodeAsLatin1 } from '../../http/environ.js';
import type { HttpRequest } from '../../http/request.js';
import type { RequestContext } from '../../http/request-context.js';
import { nameRequest, type RequestNaming } from '../../http/request-naming.js';
import type { ResponseSink } from '../../http/response-sink.js';
import { ResponseWriter } from '../../http/response-writer.js';
import { parseTarget } from '../../http/target.js';
import type { Log } from '../../log.js';
import type { ApplicationObserver } from '../../observe/observer.js';
import type { Settings } from '../../settings/table.js';
import { AnswerCount } from '../answer-count.js';
import { readGateLimits } from '../client-limits.js';
import { chooseAnswer } from './answer.js';
import { FileMemory } from './file-memory.js';
import { type FolderRules, findFile, resolveFolder, type Variants } from './folder.js';
import { sendAnswer } from './send.js';

/** Bytes of small files, and of what is known of large ones, that are held in all. */
const MEMORY_LIMIT = 16 * 1024 * 1024;
/** Clients ask anew each time, and get 304 for what they have: nothing here is known to last. */
const DEFAULT_CACHE_CONTROL = 'public, max-age=0';

/** A request whose path lies in a folder. */
interface Asked {
  readonly request: HttpRequest;
  readonly sink: ResponseSink;
  readonly context: RequestContext;
  readonly folder: ServedFolder;
  /** Decoded into latin-1 characters, below the place where all folders are. */
  readonly path: string;
  /** performance.now() */
  readonly began: number;
}

export interface Surroundings {
  readonly log: Log;
  /** Who is told of the answers; null for nobody. */
  readonly observer: ApplicationObserver | null;
  /** The names of requests. */
  readonly naming: RequestNaming;
  /** True once the server is about to close. */
  readonly isDraining: () => boolean;
}

interface ServedFolder {
  /** Decoded, without a slash at its end: '' at the root, '/static'. */
  readonly path: string;
  readonly rules: FolderRules;
}

/** A pattern that a file's name within its folder may match, and what Cache-Control then says. */
interface CacheRule {
  readonly matches: (name: string) => boolean;
  readonly value: string;
}

export class StaticFiles {
  readonly #settings: Settings;
  readonly #surroundings: Surroundings;
  readonly #cacheRules: readonly CacheRule[];
  readonly #memory = new FileMemory(MEMORY_LIMIT);
  readonly #count = new AnswerCount();
  /** The longest paths first. */
  #folders: readonly ServedFolder[] = [];

  constructor(settings: Settings, surroundings: Surroundings) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#cacheRules = settings.staticCacheControl.map(parseCacheRule);
  }

  /** Finds the folders. Rejects with LIDO_NO_STATIC_FOLDER where one is not there. */
  async open(): Promise<void> {
    const { static: folders, staticLinks } = this.#settings;
    const served = Object.entries(folders ?? {}).map(([path, folder]) =>
      openFolder(path, folder, staticLinks),
    );
    this.#folders = (await Promise.all(served)).sort((one, other) => other.path.length - one.path.length);
  }

  /**
   * Answers a request for a file. Calls `otherwise` where it is none: its path lies elsewhere, its method is not GET or
   * HEAD, or there is no such file, or none that may be served. The application then says so in its own way.
   */
  handle(request: HttpRequest, sink: ResponseSink, context: RequestContext, otherwise: () => void): void {
    const path = decodePath(parseTarget(context.url ?? request.target).path).slice(context.scriptName.length);
    const folder = this.#folders.find((candidate) => path.startsWith(`${candidate.path}/`));
    if (
      folder === undefined ||
      !isForFile(request) ||
      request.check(readGateLimits(this.#settings)) !== null
    ) {
      otherwise();
      return;
    }
    const asked: Asked = { request, sink, context, folder, path, began: performance.now() };
    const known = this.#memory.find(path, asked.began);
    if (known !== null) this.#answer(asked, known);
    else void this.#look(asked, otherwise);
  }

  /** Resolves once every answer is whole on its way, or its client is gone; after `graceMs` at the latest. */
  whenAnswered(graceMs: number): Promise<void> {
    return this.#count.whenNone(graceMs);
  }

  async #look(asked: Asked, otherwise: () => void): Promise<void> {
    const { sink, folder, path, began } = asked;
    let isGone = false;
    sink.onceClosed(() => {
      isGone = true;
    });
    const name = Buffer.from(path.slice(folder.path.length), 'latin1').toString();
    const variants = await findFile(folder.rules, name);
    if (isGone) return;
    if (variants === null) {
      otherwise();
      return;
    }
    this.#memory.keep(path, variants, began);
    this.#answer(asked, variants);
  }

  #answer(asked: Asked, variants: Variants): void {
    const { request, folder } = asked;
    const writer = this.#createWriter(asked);
    const relative = variants[0].path.slice(folder.rules.folder.length + 1);
    const cacheControl = ['Cache-Control', this.#findCacheControl(relative)];
    const fail = ({ code, message }: LidoError) => {
      this.#surroundings.log.error({ method: request.method, url: request.target, code }, message);
      writer.abort();
    };
    sendAnswer({ writer, fail }, request, chooseAnswer(request, variants, cacheControl));
  }

  #createWriter({ request, sink, context, began }: Asked): ResponseWriter {
    const { observer, naming, isDraining } = this.#surroundings;
    const names = nameRequest(naming, request, context.requestId);
    const writer = new ResponseWriter(sink, request.method, this.#settings.sendTimeout * 1000, isDraining);
    const countOver = this.#count.add();
    if (this.#settings.sendRequestId) writer.addField(['X-Request-ID', names.requestId]);
    writer.onceClosed(() => {
      countOver();
      observer?.sentFile(request, writer, context, names, performance.now() - began);
    });
    return writer;
  }

  #findCacheControl(name: string): string {
    return this.#cacheRules.find(({ matches }) => matches(name))?.value ?? DEFAULT_CACHE_CONTROL;
  }
}

function isForFile({ method, bodyLength }: HttpRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && bodyLength === 0;
}

async function openFolder(path: string, folder: string, links: boolean): Promise<ServedFolder> {
  try {
    return {
      path: path === '/' ? '' : encodeAsLatin1(path),
      rules: { folder: await resolveFolder(resolve(folder)), links },
    };
  } catch (error) {
    throw new LidoError('LIDO_NO_STATIC_FOLDER', [folder, path, (error as Error).message], { cause: error });
  }
}

function parseCacheRule(pair: string): CacheRule {
  const equals = pair.indexOf('=');
  const pattern = pair.slice(0, equals);
  // A pattern without a slash is about a file's name, wherever it lies.
  return { matches: picomatch(pattern, { basename: !pattern.includes('/') }), value: pair.slice(equals + 1) };
}
