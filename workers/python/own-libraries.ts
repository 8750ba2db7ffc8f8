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

/** Libraries whose variables a program may hold. */
const SHARED_LIBRARIES = ['libc.so.6', 'libstdc++.so.6'];

/**
 * A program that uses a library's variable holds it itself, and the library uses the program's: Node has `environ`, `stdout`
 * and std::cerr. What looks at its own libraries first would find the one that was left behind there: os.environ would be
 * empty, and C++ that writes to std::cerr would end the process. So the libraries' tables of symbols are made to name the
 * program's. Call it once in a process, before such a library is loaded. Returns false where a table is not as expected.
 */
export function shareVariablesOfProgram(): boolean {
  const program = openLibrary(null);
  const libraries = SHARED_LIBRARIES.map(openLibrary).filter((library) => library !== null);
  if (program === null || COPY[process.arch] === undefined) return false;
  const memory = new Memory(program);
  const own = memory.readObject(memory.findProgram(program.findAddress('environ')));
  const variables = findVariables(memory, own);
  return libraries.every((library) => {
    const anySymbol = library.findAddress('_ZSt4cout') || library.findAddress('environ');
    return redirect(memory, memory.readObject(memory.findObject(anySymbol)), variables);
  });
}

/** Of a dynamic section and a symbol table: elf(5). */
const [DT_NULL, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_STRSZ] = [0, 5, 6, 7, 8, 10];
const [SYMBOL_SIZE, RELOCATION_SIZE] = [24, 24];
/** In words of 4 bytes; the first one of an entry is where its name is. A library is smaller than what one word of the value holds. */
const [SYMBOL_WORDS, VALUE_WORD] = [6, 2];
/** The relocation by which the loader copies a library's variable into the program. */
const COPY: Readonly<Record<string, number>> = { x64: 5, arm64: 1024 };
const RTLD_DL_LINKMAP = 2;

/** A program or library that is loaded. */
interface LoadedObject {
  readonly base: bigint;
  readonly table: ReadonlyMap<number, number>;
}

/** The variables of libraries that the program holds, and where. */
function findVariables(memory: Memory, { base, table }: LoadedObject): ReadonlyMap<string, bigint> {
  const found = new Map<string, bigint>();
  const relocations = memory.read(table.get(DT_RELA) ?? 0, table.get(DT_RELASZ) ?? 0);
  for (let offset = 0; offset < relocations.length; offset += RELOCATION_SIZE) {
    if (relocations.readUInt32LE(offset + 8) !== COPY[process.arch]) continue;
    const symbol = (table.get(DT_SYMTAB) ?? 0) + relocations.readUInt32LE(offset + 12) * SYMBOL_SIZE;
    const name = (table.get(DT_STRTAB) ?? 0) + memory.read(symbol, SYMBOL_SIZE).readUInt32LE();
    found.set(memory.readText(name), relocations.readBigUInt64LE(offset) + base);
  }
  return found;
}

/**
 * Lets a library's symbols name the program's variables; a variable may have several names: environ, __environ. A library has
 * thousands of symbols, of which few are meant: as objects and texts they would take longer than Python itself takes to start.
 */
function redirect(
  memory: Memory,
  { base, table }: LoadedObject,
  variables: ReadonlyMap<string, bigint>,
): boolean {
  const [symbols, names] = [table.get(DT_SYMTAB) ?? 0, table.get(DT_STRTAB) ?? 0];
  // The linker lays the names right behind the symbols, whose number is not told otherwise.
  if (symbols === 0 || names <= symbols) return false;
  const words = new Uint32Array(
    memory.read(symbols, names - symbols).buffer,
    0,
    Math.floor((names - symbols) / 4),
  );
  const named = findNames(memory.read(names, table.get(DT_STRSZ) ?? 0), variables);
  const targets = new Map<number, bigint>();
  for (let entry = 0; entry + SYMBOL_WORDS <= words.length; entry += SYMBOL_WORDS) {
    const variable = named.get(words[entry] as number);
    const value = words[entry + VALUE_WORD] as number;
    if (variable !== undefined && value !== 0) targets.set(value, variable);
  }
  const changes: Change[] = [];
  for (let entry = 0; entry + SYMBOL_WORDS <= words.length; entry += SYMBOL_WORDS) {
    const target = targets.get(words[entry + VALUE_WORD] as number);
    if (target !== undefined)
      changes.push({ address: symbols + 4 * (entry + VALUE_WORD), content: wordOf(target - base) });
  }
  return changes.length === 0 || memory.overwrite(symbols, names - symbols, changes);
}

/** By the place in the table of names at which a symbol has to point for a variable's; a name may lie in the end of a longer one. */
function findNames(texts: Buffer, variables: ReadonlyMap<string, bigint>): ReadonlyMap<number, bigint> {
  const named = new Map<number, bigint>();
  for (const [name, variable] of variables) {
    const text = `${name}\0`;
    for (let at = texts.indexOf(text); at !== -1; at = texts.indexOf(text, at + 1)) named.set(at, variable);
  }
  return named;
}

/** What is to be written where. */
interface Change {
  readonly address: Pointer;
  readonly content: Buffer;
}

/** The process's own memory. */
class Memory {
  readonly #copyOut: (to: Buffer, from: Pointer, size: number) => void;
  readonly #copyIn: (to: Pointer, from: Buffer, size: number) => void;
  readonly #protect: (start: Pointer, size: number, protection: number) => number;
  readonly #pageSize: number;
  readonly #describe: (address: Pointer, info: Buffer, extra: Buffer, kind: number) => number;

  constructor(program: NativeLibrary) {
    const declare = <T>(name: string, result: string, parameters: string[]) =>
      program.declare(name, result, parameters) as T;
    this.#copyOut = declare('memcpy', 'size_t', ['void *', 'size_t', 'size_t']);
    this.#copyIn = declare('memcpy', 'size_t', ['size_t', 'void *', 'size_t']);
    this.#pageSize = declare<(name: number) => number>('sysconf', 'long', ['int'])(SC_PAGESIZE);
    this.#protect = declare('mprotect', 'int', ['size_t', 'size_t', 'int']);
    this.#describe = declare('dladdr1', 'int', ['size_t', 'void *', 'void *', 'int']);
  }

  read(address: Pointer, size: number): Buffer {
    const content = Buffer.alloc(size);
    if (size > 0) this.#copyOut(content, address, size);
    return content;
  }

  /** Writes into a table in which nothing is written any more once a library is loaded. Returns false where the system forbids it. */
  overwrite(table: Pointer, tableSize: number, changes: readonly Change[]): boolean {
    const start = table - (table % this.#pageSize);
    const size = table + tableSize - start;
    const protection = findProtection(table);
    if (this.#protect(start, size, protection | PROT_WRITE) !== 0) return false;
    for (const { address, content } of changes) this.#copyIn(address, content, content.length);
    return this.#protect(start, size, protection) === 0;
  }

  readText(address: Pointer): string {
    const content = this.read(address, LONGEST_NAME);
    return content.toString('latin1', 0, content.indexOf(0));
  }

  /** glibc's link_map of the library, or of the program, that an address lies in. */
  findObject(address: Pointer): Pointer {
    const map = Buffer.alloc(8);
    this.#describe(address, Buffer.alloc(32), map, RTLD_DL_LINKMAP);
    return Number(map.readBigUInt64LE());
  }

  /** The first link_map of the chain that any other is in. */
  findProgram(address: Pointer): Pointer {
    let map = this.findObject(address);
    for (let previous = map; previous !== 0; previous = Number(this.read(map, 40).readBigUInt64LE(32)))
      map = previous;
    return map;
  }

  readObject(map: Pointer): LoadedObject {
    const words = this.read(map, 24);
    const table = new Map<number, number>();
    for (let address = Number(words.readBigUInt64LE(16)); ; address += 16) {
      const entry = this.read(address, 16);
      const tag = Number(entry.readBigUInt64LE());
      if (tag === DT_NULL) return { base: words.readBigUInt64LE(), table };
      table.set(tag, Number(entry.readBigUInt64LE(8)));
    }
  }
}

/** C++'s names of variables are shorter by far. Bytes. */
const LONGEST_NAME = 256;
const SC_PAGESIZE = 30;
const [PROT_READ, PROT_WRITE, PROT_EXEC] = [1, 2, 4];

/** What may be done with the memory at an address. "7f1c2000-7f1c8000 r--p 00000000 08:01 1234 /lib/libc.so.6" */
function findProtection(address: Pointer): number {
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const [range = '', flags = ''] = line.split(' ');
    const [start = 0, end = 0] = range.split('-').map((word) => Number.parseInt(word, 16));
    if (address < start || address >= end) continue;
    return (
      (flags[0] === 'r' ? PROT_READ : 0) |
      (flags[1] === 'w' ? PROT_WRITE : 0) |
      (flags[2] === 'x' ? PROT_EXEC : 0)
    );
  }
  return PROT_READ;
}

function wordOf(value: bigint): Buffer {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt.asUintN(64, value));
  return word;
}
