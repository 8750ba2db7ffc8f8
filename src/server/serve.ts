/** Main thread. What the lido command does to serve: alone or by a supervisor, until a signal ends it. */
import type { Logger } from 'pino';
import { servesPython } from '../application/find.js';
import { endPython, exitPastPython, onStuckPython } from '../python/host.js';
import type { Settings } from '../settings/resolve.js';
import { openControlSocket } from './control-socket.js';
import type { Operated } from './operated.js';
import { writePidfile } from './pidfile.js';
import { followSignals } from './signals.js';
import { SystemdNotifier } from './systemd.js';
import { watchWear } from './wear.js';
import { writeWhereabouts } from './whereabouts.js';

/** Not 0, so that systemd or a container's runtime starts another. */
const EXIT_STUCK = 1;

/** Serves until a signal ends the process. Rejects with the LidoError of a start that failed. */
export async function serve(
  settings: Settings,
  log: Logger,
  readSettings: () => Promise<Settings>,
): Promise<void> {
  const removePidfile = writePidfile(settings.pidfile);
  let removeWhereabouts = () => {};
  const served = await createOperated(settings, log, readSettings);
  const systemd = new SystemdNotifier(process.env, process.pid, log);
  let stopping = false;
  const stop = async (why: string, status = 0) => {
    stopping = true;
    log.info(`${why}: finishing what runs`);
    await systemd.stopping();
    const deadline = performance.now() + settings.gracefulTimeout * 1000;
    const ended = (await served.close()) && (await endPython(deadline - performance.now(), log));
    removeWhereabouts();
    removePidfile();
    if (!ended) await exitPastPython(status);
  };
  announceReloads(served, systemd);
  followSignals(served, stop, log);
  try {
    await openControlSocket(settings.controlSocket, served, log);
    await served.listen();
    removeWhereabouts = writeWhereabouts(settings, served.admin.addresses);
  } catch (error) {
    // Told to stop before it served: the end of the process is on its way.
    if (stopping) return;
    removePidfile();
    throw error;
  }
  // A supervisor has no Python: it hears from its processes.
  await onStuckPython(() => {
    if (!stopping)
      void stop('nobody can replace this process but who started it', EXIT_STUCK).then(() =>
        process.exit(EXIT_STUCK),
      );
  });
  log.info(served.describe());
  await systemd.ready(served.describe());
}

/** Whoever asks for a reload, systemd hears of its beginning, and of its end whatever becomes of it. */
function announceReloads(served: Operated, systemd: SystemdNotifier): void {
  const reload = served.reload.bind(served);
  served.reload = async () => {
    await systemd.reloading();
    await reload().finally(() => systemd.ready(served.describe()));
  };
}

/** Python is loaded anew, and ended when it is stuck, by another process only. */
function isSupervised(settings: Settings): boolean {
  const { supervise: asked, processes, maxRequests, maxMemory, maxAge } = settings;
  return asked ?? (processes > 1 || maxRequests + maxMemory + maxAge > 0 || servesPython(settings));
}

/** A supervisor runs no application: it does without the code, and the memory, of what does. */
async function createOperated(
  settings: Settings,
  log: Logger,
  readSettings: () => Promise<Settings>,
): Promise<Operated> {
  if (isSupervised(settings)) {
    const { Supervisor } = await import('./supervisor.js');
    return new Supervisor(settings, { log, readSettings });
  }
  const { createServer } = await import('./server.js');
  const server = createServer(settings, { log });
  watchWear(server, settings, (reason) => {
    log.info(`this process ${reason}, and no supervisor replaces it`);
    process.kill(process.pid, 'SIGTERM');
  });
  return server;
}
