/**
 * Main thread. Files that an application lets out by a field of its answer, X-Sendfile or X-Accel-Redirect: the worker is
 * free at once, and what is in the folders is reached in no other way.
 */
import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { describe, LidoError } from '../../contract/errors.js';
import type { Exchange, Substitute } from '../../dispatch/exchange.js';
import { decodePath } from '../../http/environ.js';
import type { HttpRequest } from '../../http/request.js';
import { type Head, parseHead } from '../../http/response-head.js';
import { parseTarget } from '../../http/target.js';
import { chooseAnswer, type FileAnswer } from './answer.js';
import { nameType, readFacts, resolveFolder, type StaticFile } from './folder.js';
import { sendAnswer } from './send.js';

/** nginx's names a path below one of the folders' own, and percent-encodes it; Apache's and lighttpd's names a file. */
const BY_PATH = 'x-accel-redirect';
const BY_FILE = 'x-sendfile';
/** What is said of the file instead. */
const REPLACED = new Set([
  ...[BY_PATH, BY_FILE, 'content-type', 'content-length', 'transfer-encoding', 'content-encoding'],
  ...['accept-ranges', 'content-range', 'etag', 'last-modified'],
]);

interface PrivateFolder {
  /** '' at the root, '/protected'. */
  readonly path: string;
  /** By its real name. */
  readonly folder: string;
}

export class PrivateFiles implements Substitute {
  readonly #folders: readonly PrivateFolder[];

  /** Takes the folders by their paths. Rejects with LIDO_NO_STATIC_FOLDER where one is not there. */
  static async open(folders: Readonly<Record<string, string>>): Promise<PrivateFiles> {
    const opened = await Promise.all(
      Object.entries(folders).map(([path, folder]) => openFolder(path, folder)),
    );
    return new PrivateFiles(opened.sort((one, other) => other.path.length - one.path.length));
  }

  /** The longest paths first. */
  private constructor(folders: readonly PrivateFolder[]) {
    this.#folders = folders;
  }

  isFor(head: string): boolean {
    return findField(parseHead(head)) !== null;
  }

  async answer(exchange: Exchange, wire: string): Promise<void> {
    const head = parseHead(wire);
    const [name, value] = findField(head) as Field;
    try {
      const file = await this.#find(name, value, findType(head));
      sendAnswer(exchange, exchange.request, compose(exchange.request, head, file));
    } catch (error) {
      const [why, status] = error instanceof Refusal ? [error.message, error.status] : [describe(error), 500];
      exchange.fail(new LidoError('LIDO_FILE_NOT_LET_OUT', [name, value, why], { status, cause: error }));
    }
  }

  async #find(name: string, value: string, type: string | null): Promise<StaticFile> {
    const places = name === BY_PATH ? [this.#locate(value)] : locateFile(value);
    const path = await findFirst(places);
    if (!this.#isWithin(path ?? (places[0] as string)))
      throw new Refusal(500, 'that is in none of the folders');
    const file = path === null ? null : await readFacts(path, type ?? nameType(path), null);
    if (file === null) throw new Refusal(404, 'there is no such file');
    return file;
  }

  /** The file of a path below one of the folders' own. */
  #locate(value: string): string {
    const path = decode(parseTarget(value).path);
    const found = this.#folders.find((folder) => path.startsWith(`${folder.path}/`));
    if (found === undefined) throw new Refusal(500, 'none of the folders has this path');
    return resolve(found.folder, `.${path.slice(found.path.length)}`);
  }

  #isWithin(path: string): boolean {
    return this.#folders.some(({ folder }) => path.startsWith(folder === sep ? sep : folder + sep));
  }
}

/** What is answered where the application's word on a file does not hold. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Field = readonly [name: string, value: string];

function findField({ fields }: Head): Field | null {
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).toLowerCase();
    if (name === BY_PATH || name === BY_FILE) return [name, fields[index + 1] as string];
  }
  return null;
}

function findType({ fields }: Head): string | null {
  const index = fields.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === 'content-type');
  return index < 0 ? null : (fields[index + 1] as string);
}

/**
 * The application's own fields, and its status where that says more than that the file is there: then the conditions of the
 * client and its range are about something else. Flask answers them itself, with 206, and leaves the part to be cut out.
 */
function compose({ method, headers }: HttpRequest, head: Head, file: StaticFile): FileAnswer {
  const isPlain = head.status === 200 || head.status === 206;
  const own = head.fields.filter(
    (_, index) => !REPLACED.has((head.fields[index & ~1] as string).toLowerCase()),
  );
  const answer = chooseAnswer({ method, headers: isPlain ? headers : {} }, [file], own);
  return isPlain
    ? answer
    : { ...answer, head: answer.head.replace('200 OK', `${head.status} ${head.reason}`) };
}

/** As it is written, and decoded: applications in front of Apache do the one or the other. */
function locateFile(value: string): string[] {
  return [Buffer.from(value, 'latin1').toString(), decode(value)].map((path) => resolve(path));
}

function decode(text: string): string {
  return Buffer.from(decodePath(text), 'latin1').toString();
}

/** The real name of the first that is there; null for none. */
async function findFirst(places: readonly string[]): Promise<string | null> {
  for (const place of places) {
    // realpath() takes no NUL, and a name with one is nobody's.
    const found = place.includes('\0') ? null : await realpath(place).catch(() => null);
    if (found !== null) return found;
  }
  return null;
}

async function openFolder(path: string, folder: string): Promise<PrivateFolder> {
  try {
    return { path: path === '/' ? '' : path, folder: await resolveFolder(resolve(folder)) };
  } catch (error) {
    throw new LidoError('LIDO_NO_STATIC_FOLDER', [folder, path, (error as Error).message], { cause: error });
  }
}
