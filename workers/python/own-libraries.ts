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

/** Lets a library's symbols name the program's variables; a variable may have several names: environ, __environ. */
function redirect(
  memory: Memory,
  { base, table }: LoadedObject,
  variables: ReadonlyMap<string, bigint>,
): boolean {
  const [symbols, names] = [table.get(DT_SYMTAB) ?? 0, table.get(DT_STRTAB) ?? 0];
  // The linker lays the names right behind the symbols, whose number is not told otherwise.
  if (symbols === 0 || names <= symbols) return false;
  const entries = memory.read(symbols, names - symbols);
  const texts = memory.read(names, table.get(DT_STRSZ) ?? 0);
  const targets = new Map<bigint, bigint>();
  const offsets = Array.from(
    { length: Math.floor(entries.length / SYMBOL_SIZE) },
    (_, index) => index * SYMBOL_SIZE,
  );
  for (const offset of offsets) {
    const start = entries.readUInt32LE(offset);
    const variable = variables.get(texts.toString('latin1', start, texts.indexOf(0, start)));
    const value = entries.readBigUInt64LE(offset + 8);
    if (variable !== undefined && value !== 0n) targets.set(value, variable);
  }
  return offsets.every((offset) => {
    const target = targets.get(entries.readBigUInt64LE(offset + 8));
    return target === undefined || memory.overwrite(symbols + offset + 8, wordOf(target - base));
  });
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

  /** Writes where nothing is written any more once a library is loaded. Returns false where the system forbids it. */
  overwrite(address: Pointer, content: Buffer): boolean {
    const start = address - (address % this.#pageSize);
    const size = address + content.length - start;
    const protection = findProtection(address);
    if (this.#protect(start, size, protection | PROT_WRITE) !== 0) return false;
    this.#copyIn(address, content, content.length);
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
