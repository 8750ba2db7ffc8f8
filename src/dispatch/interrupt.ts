/** Main thread. Interrupts what a Python worker runs, for as long as that goes on, and tells where it stood. */
import { setTimeout as pause } from 'node:timers/promises';
import { LidoError } from '../contract/errors.js';
import type { RequestNames } from '../http/request-naming.js';
import type { Log } from '../log.js';
import type { PythonHost } from '../python/host.js';
import type { Session } from './session.js';

/** How long an interrupted Python application has to come back before its worker is given up. */
export const INTERRUPT_GRACE_MS = 1000;

/** What the log says it of: a request, or a whole loop. */
export interface Blamed {
  readonly log: Log;
  /** Of a request. */
  readonly names?: RequestNames;
}

/**
 * What swallows the exception, or begins anew in a finally clause, is interrupted again after each further time-out: its
 * thread would take time under the GIL from all others for ever, though it was given up. `id` is a request's, or a loop's sign.
 */
export async function interruptUntilOver(
  host: PythonHost,
  session: Session,
  id: number,
  timeoutMs: number,
  blamed: Blamed,
  verdict: LidoError,
): Promise<void> {
  const { interruptTarget: target } = session;
  if (target === null) return;
  const keptOut = (stacks: string) => declareStuck(host, blamed, stacks);
  let stack = await host.interrupt(target, id, keptOut);
  if (stack !== '') logPlace(blamed, verdict, 'it stood here', stack);
  while (stack !== '') {
    await pause(Math.max(INTERRUPT_GRACE_MS, timeoutMs), undefined, { ref: false });
    stack = await host.interrupt(target, id, keptOut);
  }
}

/** A request for the GIL that nobody answers tells that no other thread goes on either: this process's Python is lost. */
function declareStuck(host: PythonHost, blamed: Blamed, stacks: string): void {
  const error = new LidoError('LIDO_PYTHON_STUCK', ['a call into C keeps the GIL']);
  if (stacks === '') logPlace(blamed, error, 'where it stands cannot be told');
  else logPlace(blamed, error, 'this is what runs', stacks);
  host.emit('stuck', error);
}

export function logPlace(
  { names, log }: Blamed,
  { code, message }: LidoError,
  place: string,
  traceback?: string,
): void {
  log.error({ ...names, code, traceback }, `${message}; ${place}`);
}
