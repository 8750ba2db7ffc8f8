/** Main thread. What a reload may change, and what is told of it. */
import { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { Settings } from '../settings/resolve.js';
import type { SettingName } from '../settings/table.js';
import type { Operated } from './operated.js';

/** For whoever expects a changed setting to hold. */
export const SETTINGS_STAY =
  'the settings stay as they were: start it with --supervise to have them read again';

/** Sockets stay open from one set of processes to the next, and the supervisor stays what it is. */
const LASTING: readonly SettingName[] = [
  'bind',
  'unixMode',
  'socketBacklog',
  'reusePort',
  'chdir',
  'supervise',
  'reload',
  'reloadExtra',
  'pidfile',
  'controlSocket',
  'captureOutput',
  'logFormat',
  'logLevel',
];

/** Throws LIDO_NOT_WHILE_RUNNING for the first setting that would have to change with the whole server. */
export function checkChange(now: Settings, wanted: Settings): void {
  for (const name of LASTING) {
    const [before, after] = [now, wanted].map((settings) => JSON.stringify(settings[name as keyof Settings]));
    if (before !== after) throw new LidoError('LIDO_NOT_WHILE_RUNNING', [name, before ?? '', after ?? '']);
  }
}

/** Loads anew what is served, and logs what became of it, whoever asked. Resolves with why it failed; null where it did not. */
export async function reloadAndTell(
  served: Pick<Operated, 'reload' | 'rereadsSettings'>,
  log: Log,
): Promise<LidoError | null> {
  const failure = await served.reload().then(
    () => null,
    (error: LidoError) => error,
  );
  if (failure === null) {
    log.info(`the application is loaded anew${served.rereadsSettings ? '' : `; ${SETTINGS_STAY}`}`);
    return null;
  }
  const { code, message, traceback } = failure;
  log.error({ code, traceback }, `not reloaded, what was served is served on: ${message}`);
  return failure;
}
