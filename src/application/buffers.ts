/** Main thread. Where requests and answers wait for slow clients: memory and temporary files, as the settings have it. */
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { LidoError } from '../contract/errors.js';
import { findAvailableMemory, findHeapLimit } from '../http/available-memory.js';
import { Budget } from '../http/budget.js';
import type { SpoolStore } from '../http/spool.js';
import { findFileLimit, SpoolFiles } from '../http/spool-files.js';
import type { Log } from '../log.js';
import type { Settings } from '../settings/resolve.js';

/** Applications, their workers and the system's cache of files need the rest. */
const SHARE_OF_MEMORY = 1 / 4;
/** Much of what is held for a request lies in V8's heap, and beyond that the process ends. */
const SHARE_OF_HEAP = 1 / 2;

/** Of all servers in this process that have none of their own. */
let sharedBudget: Budget | null = null;

/** Throws LIDO_WRONG_SETTING for a directory that is named and cannot be written to. */
export function openBuffers(settings: Settings, log: Log): SpoolStore {
  const budget =
    settings.bufferBudget === null ? shareBudget(settings.processes) : new Budget(settings.bufferBudget);
  const directory = settings.bufferDirectory ?? tmpdir();
  const report = (error: LidoError) => log.error({ code: error.code }, error.message);
  let limit = 0;
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    limit = Math.floor(findFileLimit(directory, budget.limit * settings.processes) / settings.processes);
  } catch (error) {
    const { message } = error as Error;
    if (settings.bufferDirectory !== null)
      throw new LidoError('LIDO_WRONG_SETTING', ['bufferDirectory', message], { cause: error });
    log.warn(
      `no temporary files (${message}): bodies larger than bufferMemory are refused; name a directory with --buffer-directory`,
    );
  }
  return { budget, files: new SpoolFiles(directory, settings.bufferDisk ?? limit, report) };
}

function shareBudget(processes: number): Budget {
  const share = (findAvailableMemory() * SHARE_OF_MEMORY) / processes;
  sharedBudget ??= new Budget(Math.floor(Math.min(share, findHeapLimit() * SHARE_OF_HEAP)));
  return sharedBudget;
}
