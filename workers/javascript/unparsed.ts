// Worker thread, and another one for the search. Where a module is wrong that could not be parsed: the error does not say.
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** What V8 knows of an error: the script it is about, its line and column, both counted from 0. */
interface Place {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** An import that came to its error once does so again, unless it waits for something. Milliseconds. */
const PATIENCE_MS = 5000;
/** A longer line was made by a program, and nobody wants to see it. Characters. */
const LONGEST_LINE = 200;
const ERROR = 'lidoUnparsed';

/**
 * The file and the line, that line, and a caret below what is wrong, as Node writes them above an error that nobody catches. Resolves with ''
 * where that is not found. V8 knows it, but tells those alone who debug: the module is imported once more, in a thread
 * of its own.
 */
export function findUnparsed(url: string): Promise<string> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { [ERROR]: url },
    stdout: true,
    stderr: true,
  });
  return new Promise<string>((resolve) => {
    const patience = setTimeout(resolve, PATIENCE_MS, '');
    worker.once('message', resolve);
    worker.once('error', () => resolve(''));
    worker.once('exit', () => {
      clearTimeout(patience);
      resolve('');
    });
  }).finally(() => worker.terminate());
}

async function search(url: string): Promise<string> {
  const session = new Session();
  session.connect();
  const unparsed = new Map<string, string>();
  session.on('Debugger.scriptFailedToParse', ({ params }) => unparsed.set(params.scriptId, params.url));
  session.post('Debugger.enable');
  session.post('Debugger.setSkipAllPauses', { skip: true });
  try {
    await import(url);
    return '';
  } catch (error) {
    const place = locate(error, session);
    const script = unparsed.get(place.scriptId);
    return script?.startsWith('file:') ? show(script, place) : '';
  }
}

function locate(error: unknown, session: Session): Place {
  Object.assign(globalThis, { [ERROR]: error });
  let place: Place = { scriptId: '', lineNumber: 0, columnNumber: 0 };
  // Both are answered before post() returns.
  session.post('Runtime.evaluate', { expression: ERROR }, (_, found) => {
    const about = { errorObjectId: found?.result.objectId };
    session.post('Runtime.getExceptionDetails', about, (_, told?: { exceptionDetails?: Place }) => {
      place = told?.exceptionDetails ?? place;
    });
  });
  return place;
}

function show(script: string, { lineNumber, columnNumber }: Place): string {
  const line = readFileSync(fileURLToPath(script), 'utf8').split('\n')[lineNumber] ?? '';
  const shown = line.length > LONGEST_LINE ? '' : `${line}\n${' '.repeat(columnNumber)}^\n`;
  return `${script}:${lineNumber + 1}\n${shown}`;
}

const wanted: unknown = workerData?.[ERROR];
if (typeof wanted === 'string') search(wanted).then((place) => parentPort?.postMessage(place));
