/** Main thread. What the workers of an application are told when they begin. */
import type { ApplicationSpec, OutputSettings, WorkerSettings } from '../contract/protocol.js';
import type { ThreadLimits } from '../dispatch/scaling.js';
import { capturesOutput, findDescriptors } from '../log.js';
import { isWatched } from '../observe/watched.js';
import type { PythonHost } from '../python/host.js';
import type { Settings } from '../settings/resolve.js';
import { VERSION } from '../version.js';
import { sharesGil } from './threads.js';

export function describeWorkers(
  settings: Settings,
  application: ApplicationSpec,
  threads: ThreadLimits,
  concurrency: number,
  host: PythonHost | null,
  runsOnce: boolean,
): WorkerSettings {
  const isIsolated = application.runtime === 'cpython' && application.interpreter === 'isolated';
  return {
    application,
    constants: { SERVER_SOFTWARE: `lido/${VERSION}`, GATEWAY_INTERFACE: 'CGI/1.1' },
    // Interpreters share as little as processes do: each has an application object of its own.
    multithread: !isIsolated && !runsOnce,
    multiprocess: settings.processes > 1 || isIsolated,
    runOnce: runsOnce,
    debug: settings.debug,
    validate: settings.validate,
    timeout: settings.timeout,
    concurrency,
    output: chooseOutput(settings),
    tellsManner: threads.max > 1 && sharesGil(application),
    tellsFiles: settings.reload,
    waker: host?.waker.rope ?? null,
    tellsHeap: application.runtime === 'javascript' && isWatched(settings),
  };
}

/** Where what an application prints goes. */
export function chooseOutput(settings: Settings): OutputSettings {
  return { isCaptured: capturesOutput(settings), logFd: findDescriptors().log };
}
