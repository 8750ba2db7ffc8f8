// Worker thread. Python's libraries are Python's own.
//
// Node exports the OpenSSL, zlib, brotli, libuv and c-ares that it is built with, and the loader prefers the program's symbols
// to those of the library that an extension module brought: psycopg2 would call Node's OpenSSL, gevent Node's libuv.
// RTLD_DEEPBIND lets a library look at its own first. It has to hold from the first library on: one that came earlier calls
// Node's inside, whoever uses it. dlopen(3).
import { readFileSync } from 'node:fs';
import { type NativeLibrary, openLibrary, type Pointer } from './libpython.js';

/** What the loader puts before every program's libraries, beside $LD_PRELOAD. ld.so(8). */
const PRELOAD_FILE = '/etc/ld.so.preload';

/** glibc alone has the flag; macOS needs none, since each library there names the one that it takes a symbol from. */
export function bindsDeeply(): boolean {
  return openLibrary('libc.so.6') !== null && findPreloadedAllocator() === null;
}

/**
 * An allocator that was put in the place of libc's. Libraries that look at their own first would find libc's: what one of
 * the two made the other would free.
 */
export function findPreloadedAllocator(): string | null {
  const own = openLibrary('libc.so.6')?.findAddress('malloc');
  const names = `${process.env.LD_PRELOAD ?? ''} ${readPreloadFile()}`.split(/[\s:]+/).filter(Boolean);
  const isAllocator = (name: string) => {
    const found = openLibrary(name)?.findAddress('malloc') ?? 0;
    return found !== 0 && found !== own;
  };
  return names.find(isAllocator) ?? null;
}

function readPreloadFile(): string {
  try {
    return readFileSync(PRELOAD_FILE, 'utf8');
  } catch {
    return '';
  }
}

/** std::ostream's and std::istream's, on 64 bits. Bytes. */
const [OSTREAM, ISTREAM] = [272, 280];

/** Variables of libraries that a program may hold, and of what size they are. */
const VARIABLES: readonly (readonly [library: string, name: string, size: number])[] = [
  ['libc.so.6', 'timezone', 8],
  ['libc.so.6', 'daylight', 4],
  ['libc.so.6', 'tzname', 16],
  ['libstdc++.so.6', '_ZSt3cin', ISTREAM],
  ['libstdc++.so.6', '_ZSt4cout', OSTREAM],
  ['libstdc++.so.6', '_ZSt4cerr', OSTREAM],
  ['libstdc++.so.6', '_ZSt4clog', OSTREAM],
];

/**
 * A program that uses a library's variable holds it itself, and the library uses the program's: Node has `environ` and
 * std::cerr. What looks at its own libraries first finds the one that was left behind, which is empty: os.environ would be,
 * and C++ that writes to std::cerr would end the process. Those get what the program's have. Call it once in a process.
 */
export function fillVariablesLeftBehind(): void {
  const program = openLibrary(null);
  const libc = openLibrary('libc.so.6');
  if (program === null || libc === null) return;
  libc.declare('tzset', 'void', [])();
  for (const [name, symbol, size] of VARIABLES) {
    const [used, leftBehind] = [program.findAddress(symbol), openLibrary(name)?.findAddress(symbol) ?? 0];
    if (used !== leftBehind && used !== 0 && leftBehind !== 0) copyWithin(libc, leftBehind, used, size);
  }
  const environ = libc.findAddress('environ');
  if (environ !== program.findAddress('environ')) copyInto(libc, environ, wordsOf([copyEnvironment(libc)]));
}

/** As it is now, and never freed: libc gives its own back when a variable is added. Returns the list's address. */
function copyEnvironment(libc: NativeLibrary): Pointer {
  const duplicate = libc.declare('strdup', 'size_t', ['const char *']) as (text: string) => Pointer;
  const allocate = libc.declare('calloc', 'size_t', ['size_t', 'size_t']) as (
    count: number,
    size: number,
  ) => Pointer;
  const words = wordsOf([
    ...Object.entries(process.env).map(([name, value]) => duplicate(`${name}=${value}`)),
    0,
  ]);
  const list = allocate(words.length, 1);
  copyInto(libc, list, words);
  return list;
}

function copyWithin(libc: NativeLibrary, to: Pointer, from: Pointer, size: number): void {
  libc.declare('memcpy', 'size_t', ['size_t', 'size_t', 'size_t'])(to, from, size);
}

function copyInto(libc: NativeLibrary, to: Pointer, content: Buffer): void {
  libc.declare('memcpy', 'size_t', ['size_t', 'void *', 'size_t'])(to, content, content.length);
}

function wordsOf(addresses: readonly Pointer[]): Buffer {
  const words = Buffer.alloc(addresses.length * 8);
  addresses.forEach((address, index) => {
    words.writeBigUInt64LE(BigInt(address), index * 8);
  });
  return words;
}
