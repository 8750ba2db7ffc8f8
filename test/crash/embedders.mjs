// node test/crash/embedders.mjs FOLDER
// What becomes of a process that calls Python by another package, once the worker thread that does so is to end. FOLDER
// is where `npm install node-calls-python pymport` was run.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const FILE = fileURLToPath(import.meta.url);
/** Five times what the longest call takes that ends. Milliseconds. */
const PATIENCE_MS = 10_000;

/** Each gives Python's exec(). */
const packages = {
  'node-calls-python': ({ interpreter }) => {
    const builtins = interpreter.importSync('builtins');
    return (code) => interpreter.callSync(builtins, 'exec', code, {});
  },
  pymport: ({ pymport, PyObject }) => {
    const builtins = pymport('builtins');
    return (code) => builtins.get('exec').call(code, PyObject.dict({}));
  },
};

/** What the thread is at, and how it is ended. */
const ways = {
  'its thread is ended between calls': ['pass', 'terminate'],
  'its thread is ended in time.sleep(2)': ['import time; time.sleep(2)', 'terminate'],
  'its thread is ended in a loop': ['while True: pass', 'terminate'],
  'process.exit() during a loop': ['while True: pass', 'exit'],
};

if (!isMainThread) runPython(workerData);
else if (process.argv[3] === undefined) await printTable(process.argv[2]);
else await endThread(...process.argv.slice(2));

async function printTable(folder) {
  const names = Object.keys(packages);
  console.log(`| | ${names.join(' | ')} |\n| --- | ${names.map(() => '---').join(' | ')} |`);
  for (const [title, way] of Object.entries(ways)) {
    const ends = [];
    for (const name of names) ends.push(await runProcess(folder, name, way));
    console.log(`| ${title} | ${ends.join(' | ')} |`);
  }
}

async function runProcess(folder, name, way) {
  const child = spawn(process.execPath, [FILE, folder, name, ...way], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal === 'SIGKILL') return `stands still (${PATIENCE_MS / 1000} s)`;
  return code === 0 ? 'ok' : `ends by ${signal ?? code}`;
}

/** In a process of its own: another thread must be able to go on. */
async function endThread(folder, name, code, how) {
  const start = async (code) => {
    const worker = new Worker(FILE, { workerData: { folder, name, code } });
    await once(worker, 'message');
    return worker;
  };
  const worker = await start(code);
  // Nothing tells when a thread is inside its call.
  await pause(200);
  if (how === 'exit') process.exit(0);
  await worker.terminate();
  await (await start('pass')).terminate();
}

function runPython({ folder, name, code }) {
  const run = packages[name](createRequire(`${folder}/`)(name));
  parentPort.postMessage('loaded');
  run(code);
  setInterval(() => {}, PATIENCE_MS);
}
