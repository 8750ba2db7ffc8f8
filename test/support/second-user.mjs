// A program in which a Python application is served more than once: by several worker threads, by several copies of Lido.
// It prints what each of them was answered.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Users of Python: which copy of Lido, which Python, which application. */
const [manner, users] = isMainThread ? JSON.parse(process.argv[2]) : ['', []];

if (!isMainThread) parentPort.postMessage(await serveOnce(workerData));
else if (manner === 'threads at once') print(await Promise.all(users.map(serveInThread)));
else print(await inTurn(manner === 'one thread' ? serveOnce : serveInThread));

async function inTurn(serve) {
  const answers = [];
  for (const user of users) answers.push(await serve(user));
  return answers;
}

async function serveOnce({ lido, python, application }) {
  const { createServer } = await import(lido);
  const server = createServer({ application, python, bind: '127.0.0.1:0', logLevel: 'fatal' });
  try {
    await server.listen();
    return await (await fetch(server.addresses[0])).text();
  } catch ({ code, message }) {
    return `${code}: ${message}`;
  } finally {
    await server.close();
  }
}

function serveInThread(user) {
  const worker = new Worker(new URL(import.meta.url), { workerData: user });
  return new Promise((resolve, reject) => {
    let answer = null;
    worker.once('message', (text) => {
      answer = text;
    });
    worker.once('error', reject);
    worker.once('exit', () => resolve(answer));
  });
}

function print(answers) {
  process.stdout.write(JSON.stringify(answers));
}
