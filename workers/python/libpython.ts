// Worker thread. The only file that imports koffi: libpython's functions, as far as they are used.
import koffi from 'koffi';
import { LidoError } from '../../src/contract/errors.js';
import type { PythonInstallation } from '../../src/contract/protocol.js';

/** An address. User-space addresses fit a double exactly, and a number costs less than what koffi wraps them in. */
export type Pointer = number;

/** koffi runs C on a stack of its own; Python's default recursion limit needs more than koffi's default of 2 MiB. */
const C_STACK_SIZE = 8 * 1024 * 1024;
/** Py_file_input of CPython's compile.h. */
const FILE_INPUT = 257;
const PYBUF_READ = 0x100;
const PYBUF_WRITE = 0x200;
const METH_NOARGS = 0x4;

const ADDRESS = 'size_t';

/** koffi takes a name once for each thread, which may run one worker after the other. */
const Callback = koffi.proto('size_t LidoCallback(size_t self, size_t args)');

let configured = false;

/** A Python function that calls JavaScript. After unregister() no one may call it. */
export interface RegisteredCallback {
  readonly callable: Pointer;
  unregister(): void;
}

export type LibPython = ReturnType<typeof openLibpython>;

/**
 * Loads libpython, once for each thread; `deep` counts for the first: see own-libraries.ts. Throws LIDO_LIBPYTHON_NOT_LOADED or
 * LIDO_PYTHON_WITHOUT_STACK_PROTECTION.
 */
export function openLibpython(python: PythonInstallation, deep = false) {
  const library = load(python, deep);
  const declare = (name: string, result: string, parameters: string[]) =>
    library.func(name, result, parameters);
  const api = {
    mainInterpreter: declare('PyInterpreterState_Main', ADDRESS, []) as () => Pointer,
    newThread: declare('PyThreadState_New', ADDRESS, [ADDRESS]) as (interpreter: Pointer) => Pointer,
    clearThread: declare('PyThreadState_Clear', 'void', [ADDRESS]) as (thread: Pointer) => void,
    deleteCurrentThread: declare('PyThreadState_DeleteCurrent', 'void', []) as () => void,
    interpreterOf: declare('PyThreadState_GetInterpreter', ADDRESS, [ADDRESS]) as (
      thread: Pointer,
    ) => Pointer,
    /** The threads of an interpreter, one after the other; 0 at the end. Its GIL keeps them from being freed. */
    firstThread: declare('PyInterpreterState_ThreadHead', ADDRESS, [ADDRESS]) as (
      interpreter: Pointer,
    ) => Pointer,
    nextThread: declare('PyThreadState_Next', ADDRESS, [ADDRESS]) as (thread: Pointer) => Pointer,
    /** A new reference to the frame that a thread of the current interpreter is in; 0 where it is in none. */
    frameOf: declare('PyThreadState_GetFrame', ADDRESS, [ADDRESS]) as (thread: Pointer) => Pointer,
    acquire: declare('PyEval_RestoreThread', 'void', [ADDRESS]) as (thread: Pointer) => void,
    release: declare('PyEval_SaveThread', ADDRESS, []) as () => Pointer,
    importModule: declare('PyImport_ImportModule', ADDRESS, ['const char *']) as (name: string) => Pointer,
    run: declare('PyRun_String', ADDRESS, ['const char *', 'int', ADDRESS, ADDRESS]) as (
      code: string,
      mode: number,
      globals: Pointer,
      locals: Pointer,
    ) => Pointer,
    newDict: declare('PyDict_New', ADDRESS, []) as () => Pointer,
    getItem: declare('PyDict_GetItemString', ADDRESS, [ADDRESS, 'const char *']) as (
      dict: Pointer,
      key: string,
    ) => Pointer,
    setItem: declare('PyDict_SetItemString', 'int', [ADDRESS, 'const char *', ADDRESS]) as (
      dict: Pointer,
      key: string,
      value: Pointer,
    ) => number,
    getAttribute: declare('PyObject_GetAttrString', ADDRESS, [ADDRESS, 'const char *']) as (
      object: Pointer,
      name: string,
    ) => Pointer,
    callNoArguments: declare('PyObject_CallNoArgs', ADDRESS, [ADDRESS]) as (callable: Pointer) => Pointer,
    decref: declare('Py_DecRef', 'void', [ADDRESS]) as (object: Pointer) => void,
    incref: declare('Py_IncRef', 'void', [ADDRESS]) as (object: Pointer) => void,
    clearError: declare('PyErr_Clear', 'void', []) as () => void,
    fetchError: declare('PyErr_Fetch', 'void', ['void *', 'void *', 'void *']) as (
      type: Buffer,
      value: Buffer,
      traceback: Buffer,
    ) => void,
    asString: declare('PyObject_Str', ADDRESS, [ADDRESS]) as (object: Pointer) => Pointer,
    setAsyncException: declare('PyThreadState_SetAsyncExc', 'int', ['unsigned long', ADDRESS]) as (
      thread: Pointer,
      exception: Pointer,
    ) => number,
    asText: declare('PyUnicode_AsUTF8', 'const char *', [ADDRESS]) as (object: Pointer) => string | null,
    getSystemObject: declare('PySys_GetObject', ADDRESS, ['const char *']) as (name: string) => Pointer,
    newInteger: declare('PyLong_FromLong', ADDRESS, ['long']) as (value: number) => Pointer,
    setField: declare('PyStructSequence_SetItem', 'void', [ADDRESS, 'intptr_t', ADDRESS]) as (
      sequence: Pointer,
      index: number,
      value: Pointer,
    ) => void,
    newText: declare('PyUnicode_FromString', ADDRESS, ['const char *']) as (text: string) => Pointer,
  };
  const viewMemory = declare('PyMemoryView_FromMemory', ADDRESS, ['void *', 'intptr_t', 'int']) as (
    memory: Buffer,
    size: number,
    flags: number,
  ) => Pointer;
  const newFunction = declare('PyCFunction_NewEx', ADDRESS, ['void *', ADDRESS, ADDRESS]) as (
    definition: unknown,
    self: Pointer,
    module: Pointer,
  ) => Pointer;
  const initialize = declare('Py_InitializeEx', 'void', ['int']) as (signals: number) => void;
  const setProgramName = declareProgramName(library);
  const stack = needsStackProtection(python) ? findStackProtection(library, python) : null;
  return {
    ...api,
    /** Runs code in a namespace of its own; false when it raised, with the error still set. */
    runCode(code: string, namespace: Pointer): boolean {
      const result = api.run(code, FILE_INPUT, namespace, namespace);
      if (result !== 0) api.decref(result);
      return result !== 0;
    },
    /**
     * An interpreter with a GIL of its own, and this thread's state in it, which is current from then on; what Python says
     * where it makes none. For CPython 3.13 and later. PEP 684.
     */
    newInterpreter(): Pointer | string {
      const create = library.func('Py_NewInterpreterFromConfig', PyStatus, ['void *', 'void *']) as (
        thread: Buffer,
        config: Int32Array,
      ) => PyStatusFields;
      const thread = Buffer.alloc(8);
      const { type, message } = create(thread, ISOLATED);
      return type === 0 ? Number(thread.readBigUInt64LE()) : (message ?? 'no reason is given');
    },
    /** A memoryview over a Buffer, which the caller keeps alive. */
    viewBuffer(buffer: Buffer, writable: boolean): Pointer {
      return viewMemory(buffer, buffer.length, writable ? PYBUF_WRITE : PYBUF_READ);
    },
    /** What was raised, in one line; the error is cleared. PyErr_Print would end the process for a SystemExit. */
    takeError(): string {
      const [type, value, traceback] = [Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8)] as const;
      api.fetchError(type, value, traceback);
      const [typeAddress, valueAddress] = [type, value].map((word) => Number(word.readBigUInt64LE()));
      const texts = [typeAddress, valueAddress].map((address) => {
        const text = address ? api.asString(address) : 0;
        if (text === 0) api.clearError();
        return text === 0 ? '' : (api.asText(text) ?? '');
      });
      return texts.filter((text) => text !== '').join(': ');
    },
    /** A Python function without arguments that calls JavaScript and returns None. Only this thread may call it. */
    wrapCallback(name: string, called: () => void): RegisteredCallback {
      const none = findNone(api);
      const address = koffi.register(() => {
        called();
        api.incref(none);
        return none;
      }, koffi.pointer(Callback));
      const callable = newFunction(allocateDefinition(name, address), 0, 0);
      return { callable, unregister: () => koffi.unregister(address) };
    },
    /** A dict to run code in: threads that share an interpreter share its __main__, so each gets one of its own. */
    newNamespace(): Pointer {
      const namespace = api.newDict();
      const builtins = api.importModule('builtins');
      api.setItem(namespace, '__builtins__', builtins);
      api.decref(builtins);
      return namespace;
    },
    setText(namespace: Pointer, name: string, text: string): void {
      this.setAndDrop(namespace, name, api.newText(text));
    },
    /** Puts a new reference into a namespace, which then owns it. */
    setAndDrop(namespace: Pointer, name: string, value: Pointer): void {
      api.setItem(namespace, name, value);
      api.decref(value);
    },
    /**
     * From 3.14 on Python compares the stack pointer with the thread's own stack, and takes koffi's for an overflow;
     * it is told of koffi's stack, once for each thread state.
     */
    protectStack(thread: Pointer): void {
      if (stack !== null) stack.protect(thread);
    },
    /** Initialises Python; signals stay Node's. `site` is left to importSite(), here and in interpreters that are made later. */
    initializeWithoutSite(): void {
      preinitialize(library);
      const flag = library.symbol('Py_NoSiteFlag');
      koffi.encode(flag, 'int', 1);
      initialize(0);
      koffi.encode(flag, 'int', 0);
    },
    /** Before initializeWithoutSite(): what makes sys.prefix and sys.path those of the virtual environment. */
    nameProgram: setProgramName,
  };
}

/** A library that the process has loaded. */
export interface NativeLibrary {
  /** 0 where it has no symbol of this name. */
  findAddress(name: string): Pointer;
  declare(name: string, result: string, parameters: string[]): (...args: unknown[]) => unknown;
}

/**
 * Opens a library by its soname; null stands for what the program and its libraries show to every other, whichever of them
 * has it first. Returns null where there is none.
 */
export function openLibrary(name: string | null): NativeLibrary | null {
  let library: ReturnType<typeof koffi.load>;
  configure();
  try {
    library = koffi.load(name);
  } catch {
    return null;
  }
  return {
    findAddress(symbol) {
      try {
        return Number(library.symbol(symbol));
      } catch {
        return 0;
      }
    },
    declare: (symbol, result, parameters) => library.func(symbol, result, parameters),
  };
}

/** Ends the process by libc's _exit(): no thread is waited for, no handler runs, no GIL is needed. */
export function exitProcess(status: number): void {
  koffi.load(null).func('_exit', 'void', ['int'])(status);
}

/** koffi takes this before a thread's first library. */
function configure(): void {
  if (!configured) koffi.config({ sync_stack_size: C_STACK_SIZE });
  configured = true;
}

function load(python: PythonInstallation, deep: boolean) {
  configure();
  try {
    // Global, because extension modules find libpython's symbols only so where they are not linked against it.
    return koffi.load(python.libpython, { global: true, deep });
  } catch (error) {
    throw new LidoError(
      'LIDO_LIBPYTHON_NOT_LOADED',
      [error instanceof Error ? error.message : String(error)],
      {
        cause: error,
      },
    );
  }
}

/** Program names that were handed to Python, which keeps the address. */
const programNames: Buffer[] = [];

function declareProgramName(library: ReturnType<typeof load>): (executable: string) => void {
  const declared = library.func('Py_SetProgramName', 'void', ['void *']) as (name: Buffer) => void;
  return (executable) => {
    const wide = Buffer.alloc((executable.length + 1) * 4);
    [...executable].forEach((character, index) => {
      wide.writeInt32LE(character.codePointAt(0) as number, index * 4);
    });
    programNames.push(wide);
    declared(wide);
  };
}

/** CPython's PyStatus. */
const PyStatus = koffi.struct({
  type: 'int',
  function: 'const char *',
  message: 'const char *',
  status: 'int',
});
interface PyStatusFields {
  readonly type: number;
  readonly message: string | null;
}

/** PyPreConfig is some ten ints: more room than any version of it needs. */
const ENOUGH_INTS = 64;
/** Its coerce_c_locale and coerce_c_locale_warn: they would set LC_CTYPE for Node, too. */
const COERCE_C_LOCALE = [5, 6];

/**
 * Has Python begin as its own command does: where no locale is set, as in most containers, text is UTF-8 (PEP 540), and PYTHONUTF8
 * counts. Where Python is embedded without this, open(), print() and the names of files are ASCII there.
 */
function preinitialize(library: ReturnType<typeof load>): void {
  const config = new Int32Array(ENOUGH_INTS);
  library.func('PyPreConfig_InitPythonConfig', 'void', ['void *'])(config);
  for (const index of COERCE_C_LOCALE) config[index] = 0;
  const { type, message } = library.func('Py_PreInitialize', PyStatus, ['void *'])(config) as PyStatusFields;
  if (type !== 0) throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [message ?? 'no reason is given']);
}

/**
 * PyInterpreterConfig: its own memory; no fork, whose child Python aborts outside of the first interpreter; exec, threads
 * and daemon threads, which nothing waits for since the interpreter stays; only extension modules that say they can be
 * loaded more than once; its own GIL.
 */
const ISOLATED = Int32Array.of(0, 0, 1, 1, 1, 1, 2);

const MethodDef = koffi.struct({ name: 'size_t', method: 'void *', flags: 'int', doc: 'size_t' });
/** Python keeps the address of what describes a function. */
const definitions: unknown[] = [];

function allocateDefinition(name: string, address: unknown): unknown {
  const label = koffi.alloc('char', name.length + 1);
  koffi.encode(label, 'char', name, name.length + 1);
  const definition = koffi.alloc(MethodDef, 1);
  koffi.encode(definition, MethodDef, {
    name: Number(koffi.address(label)),
    method: address,
    flags: METH_NOARGS,
    doc: 0,
  });
  definitions.push(label, definition);
  return definition;
}

function findNone(api: {
  importModule(name: string): Pointer;
  getAttribute(object: Pointer, name: string): Pointer;
  decref(object: Pointer): void;
}): Pointer {
  const builtins = api.importModule('builtins');
  const none = api.getAttribute(builtins, 'None');
  api.decref(builtins);
  return none;
}

function needsStackProtection({ versionInfo: [major, minor] }: PythonInstallation): boolean {
  return major > 3 || (major === 3 && minor >= 14);
}

/** Throws LIDO_PYTHON_WITHOUT_STACK_PROTECTION for a 3.14 that lacks the call. */
function findStackProtection(library: ReturnType<typeof load>, python: PythonInstallation) {
  const name = 'PyUnstable_ThreadState_SetStackProtection';
  let setProtection: (thread: Pointer, start: Pointer, size: number) => number;
  try {
    setProtection = library.func(name, 'int', [ADDRESS, ADDRESS, 'size_t']) as typeof setProtection;
  } catch (error) {
    throw new LidoError('LIDO_PYTHON_WITHOUT_STACK_PROTECTION', [python.version, name], { cause: error });
  }
  const { base, size } = findStack();
  return { protect: (thread: Pointer) => void setProtection(thread, base, size) };
}

/** ucontext_t of glibc on x86-64 and arm64 fits; the stack pointer within koffi's stack is all that is read. */
const CONTEXT_SIZE = 8192;
const STACK_POINTER_OFFSET: Readonly<Record<string, number>> = { x64: 160, arm64: 432 };
/** What lies above the stack pointer when getcontext() runs is small; the rest of koffi's stack lies below. */
const ABOVE_STACK_POINTER = 64 * 1024;

function findStack(): { base: Pointer; size: number } {
  const getcontext = koffi.load(null).func('getcontext', 'int', ['void *']) as (context: Buffer) => number;
  const context = Buffer.alloc(CONTEXT_SIZE);
  getcontext(context);
  const pointer = Number(context.readBigUInt64LE(STACK_POINTER_OFFSET[process.arch] ?? 160));
  const size = C_STACK_SIZE - ABOVE_STACK_POINTER;
  return { base: pointer - size, size };
}
