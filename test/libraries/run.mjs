// Compiled packages in Lido, beside the same outside: npm run libraries -- [--python FILE]... [--node COMMAND]... [PACKAGE]...
//
// Each package is installed into an environment of its Python, made once under .libraries/. Each is used in a process of its
// own, outside and in Lido, with ld.so's LD_DEBUG=bindings: it loads, its answers are the same, and no library of Python's
// takes a symbol from elsewhere than outside. Results are kept beside the environments; from all of them the table in
// docs/python.md is written.
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const INSIDE = fileURLToPath(new URL('inside.mjs', import.meta.url));
const PROBES = fileURLToPath(new URL('probes.py', import.meta.url));
const PAGE = join(root, 'docs/python.md');
const RESULTS = join(root, '.libraries/results.json');
const PATIENCE_MS = 180_000;
/** The packages by the probes of probes.py. */
const PACKAGES = {
  numpy: 'numpy',
  pandas: 'pandas',
  scipy: 'scipy',
  pillow: 'Pillow',
  opencv: 'opencv-python-headless',
  lxml: 'lxml',
  cryptography: 'cryptography',
  psycopg2: 'psycopg2-binary',
  psycopg: 'psycopg[binary]',
  mysqlclient: 'mysqlclient',
  uvloop: 'uvloop',
  gevent_libev: 'gevent',
  gevent_libuv: 'gevent',
  pycares: 'pycares',
  pycurl: 'pycurl',
  brotli: 'brotli',
  zstandard: 'zstandard',
  grpcio: 'grpcio',
  pyarrow: 'pyarrow',
  orjson: 'orjson',
  pydantic: 'pydantic',
  regex: 'regex',
  pyzmq: 'pyzmq',
  pynacl: 'PyNaCl',
  pymongo: 'pymongo',
};
/** What the programs are linked with themselves: whichever copy of these is taken, it is the same library. */
const SYSTEM =
  /^(ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libgcc_s|libstdc\+\+|libpython.*|python.*)(\.so.*)?$/;

const FACET_IDENTITY = / _ZNSt.*2idE$/;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', multiple: true }, node: { type: 'string', multiple: true } },
});
const pythons = values.python ?? ['python3'];
const nodes = values.node ?? [process.execPath];
const probes = positionals.length > 0 ? positionals : Object.keys(PACKAGES);
const results = [];
let known = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : [];
/** Libraries' names by their files. */
const names = new Map();

for (const python of pythons) {
  const environment = prepare(python);
  for (const probe of probes) {
    const outside = await run(environment, [PROBES, probe]);
    for (const node of nodes) {
      const inside = await run(node, [INSIDE, environment, probe]);
      keep({ python: versionOf(python), node: versionOf(node), probe, ...compare(outside, inside) });
    }
  }
}
writeTable();
process.exit(results.every(({ verdict }) => verdict === 'as outside') ? 0 : 1);

/** Results of several runs add up, since a machine rarely has every Python and every Node at once. */
function keep(result) {
  const isSame = ({ python, node, probe }) =>
    python === result.python && node === result.node && probe === result.probe;
  results.push(result);
  known = [...known.filter((one) => !isSame(one)), result];
  writeFileSync(RESULTS, JSON.stringify(known));
  const { python, node, probe, verdict, detail } = result;
  console.log(`CPython ${python}  Node ${node}  ${probe}  ${verdict}  ${detail}`.slice(0, 300));
}

function versionOf(program) {
  const words = execFileSync(program, ['--version']).toString().trim();
  return words.replace(/^(Python |v)/, '');
}

/** Makes the environment and installs what is missing; returns its interpreter. */
function prepare(python) {
  const version = execFileSync(python, ['-c', 'import platform; print(platform.python_version())'])
    .toString()
    .trim();
  const folder = join(root, '.libraries', version);
  const interpreter = join(folder, 'bin/python');
  if (!existsSync(interpreter)) {
    mkdirSync(join(root, '.libraries'), { recursive: true });
    execFileSync(python, ['-m', 'venv', folder], { stdio: 'inherit' });
  }
  const pip = ['-m', 'pip', '--disable-pip-version-check'];
  const listed = JSON.parse(execFileSync(interpreter, [...pip, 'list', '--format', 'json']));
  const installed = new Set(listed.map(({ name }) => name.toLowerCase()));
  const wanted = new Set(probes.map((probe) => PACKAGES[probe]));
  for (const name of [...wanted].filter((one) => !installed.has(one.replace(/\[.*/, '').toLowerCase())))
    try {
      execFileSync(interpreter, [...pip, 'install', '--quiet', '--prefer-binary', name]);
    } catch {
      console.error(`${name} could not be installed for Python ${version}`);
    }
  return interpreter;
}

/** What the program printed, and each library's symbols with where they were found. */
function run(program, words) {
  const folder = mkdtempSync(join(tmpdir(), 'lido-libraries-'));
  const env = { ...process.env, LD_DEBUG: 'bindings', LD_DEBUG_OUTPUT: join(folder, 'bindings') };
  return new Promise((resolve) => {
    const child = execFile(
      program,
      words,
      { env, timeout: PATIENCE_MS, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const status = error === null ? '' : (error.signal ?? `status ${error.code}`);
        const bindings = readBindings(join(folder, `bindings.${child.pid}`));
        rmSync(folder, { recursive: true });
        resolve({
          answer: stdout.trim(),
          complaint: (stdout + stderr).trim().split('\n').at(-1),
          status,
          bindings,
        });
      },
    );
  });
}

/** "binding file /…/_ssl.so [0] to /…/libssl.so.3 [0]: normal symbol `SSL_new' [OPENSSL_3.0.0]" */
function readBindings(file) {
  const found = new Map();
  if (!existsSync(file)) return found;
  const line = /binding file (\S+) \[\d+\] to (\S+) \[\d+\]: \w+ symbol `([^']+)'/g;
  for (const [, from, to, symbol] of readFileSync(file, 'latin1').matchAll(line))
    found.set(`${nameLibrary(from)} ${symbol}`, nameLibrary(to));
  return found;
}

function nameLibrary(file) {
  if (!names.has(file)) names.set(file, basename(existsSync(file) ? realpathSync(file) : file));
  return names.get(file);
}

function compare(outside, inside) {
  if (outside.status !== '') return { verdict: 'not tried', detail: `outside: ${outside.complaint}` };
  if (inside.status !== '') return { verdict: 'fails', detail: `${inside.status}: ${inside.complaint}` };
  if (inside.answer !== outside.answer)
    return { verdict: 'answers differently', detail: `${inside.answer} where it was ${outside.answer}` };
  const strayed = findStrayed(outside.bindings, inside.bindings);
  if (strayed.length > 0) return { verdict: 'is bound elsewhere', detail: strayed.slice(0, 5).join(', ') };
  return { verdict: 'as outside', detail: `${inside.bindings.size} symbols` };
}

/** Symbols that a library takes from another one than outside. */
function findStrayed(outside, inside) {
  const strayed = [];
  for (const [key, provider] of outside) {
    const [library] = key.split(' ');
    const now = inside.get(key);
    // uvloop has a function of its own by a name of Python's, and is none the worse for getting it. C++'s facets have one
    // identity in a process, whoever defines it: ld.so sees to that (STB_GNU_UNIQUE).
    if (SYSTEM.test(library) || now === library || FACET_IDENTITY.test(key)) continue;
    if (now !== undefined && now !== provider && !(SYSTEM.test(now) && SYSTEM.test(provider)))
      strayed.push(`${key} from ${now}`);
  }
  return strayed;
}

/** A row for each package, a column for each CPython with the versions of Node that it was tried in. */
function writeTable() {
  const columns = [...new Set(known.map(({ python }) => python))].sort(byVersion);
  // Where everything was tried: a column says no more than what was run.
  const isWhole = (python, node) =>
    Object.keys(PACKAGES).every((probe) =>
      known.some((one) => one.python === python && one.node === node && one.probe === probe),
    );
  const served = (python) =>
    [...new Set(known.filter((one) => isWhole(python, one.node)).map(({ node }) => node))].sort(byVersion);
  const heads = columns.map((python) => `CPython ${python}, Node ${served(python).join(', ')}`);
  const rows = Object.entries(PACKAGES).map(([probe, name]) => {
    const cells = columns.map((python) =>
      describe(
        known.filter((one) => one.python === python && one.probe === probe && isWhole(python, one.node)),
      ),
    );
    return `| ${name}${probe.includes('_') ? ` (${probe.split('_')[1]})` : ''} | ${cells.join(' | ')} |`;
  });
  const table = [`| package | ${heads.join(' | ')} |`, `| --- |${' --- |'.repeat(columns.length)}`, ...rows];
  const page = readFileSync(PAGE, 'utf8');
  const marked = /(<!-- npm run libraries -->\n)[\s\S]*?(<!-- end -->)/;
  writeFileSync(
    PAGE,
    page.replace(marked, (_, start, end) => `${start}\n${table.join('\n')}\n\n${end}`),
  );
}

function byVersion(one, other) {
  return one.localeCompare(other, 'en', { numeric: true });
}

function describe(found) {
  const [first] = found;
  if (first === undefined) return '';
  if (found.every(({ verdict }) => verdict === first.verdict)) return first.verdict;
  return found.map(({ node, verdict }) => `Node ${node}: ${verdict}`).join('; ');
}
