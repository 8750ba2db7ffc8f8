/** Main thread. What a reload may change. Pure. */
import { LidoError } from '../contract/errors.js';
import type { Settings } from '../settings/resolve.js';
import type { SettingName } from '../settings/table.js';

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
