// Worker thread, under --reload. Which files the application consists of, for whoever watches them while they are written.
import { Session } from 'node:inspector';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BroadcastChannel } from 'node:worker_threads';
import { LOADED_FILES } from '../../src/contract/protocol.js';

/** Lido's own code, as it was built. */
const OWN_FOLDER = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Tells of each script from now on, those that cannot be parsed too: V8 knows them all, however they are imported. To be called
 * before the application is.
 */
export function tellLoadedFiles(): void {
  const channel = new BroadcastChannel(LOADED_FILES);
  channel.unref();
  const session = new Session();
  session.connect();
  const tell = ({ params: { url } }: { params: { url: string } }) => {
    const file = toPath(url);
    if (isOfApplication(file)) channel.postMessage([file]);
  };
  session.on('Debugger.scriptParsed', tell);
  session.on('Debugger.scriptFailedToParse', tell);
  session.post('Debugger.enable');
  // It is nobody's debugger: a `debugger` statement is to do nothing.
  session.post('Debugger.setSkipAllPauses', { skip: true });
}

/** Tells of the JSON that the application has required, which is no script. To be called when it is loaded. */
export function tellRequiredFiles(): void {
  const channel = new BroadcastChannel(LOADED_FILES);
  channel.postMessage(Object.keys(createRequire(import.meta.url).cache).filter(isOfApplication));
  channel.close();
}

function toPath(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url;
}

/** Packages in node_modules change by their installation; one that is linked there is known by where it really is. */
function isOfApplication(file: string): boolean {
  return (
    /^(\/|[A-Za-z]:\\)/.test(file) && !/[\\/]node_modules[\\/]/.test(file) && !file.startsWith(OWN_FOLDER)
  );
}
