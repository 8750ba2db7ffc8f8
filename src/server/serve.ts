/** Main thread. What the lido command does to serve: alone or by a supervisor, until a signal ends it. */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { probeFor, servesPython } from '../application/find.js';
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import { outliveReaders } from '../log-output.js';
import { HookRunner } from '../observe/hook-runner.js';
import { endPython, exitPastPython, onStuckPython } from '../python/host.js';
import type { Settings } from '../settings/resolve.js';
import { birth } from './birth.js';
import type { Reloader } from './development/reloader.js';
import { takeEarly } from './early-process.js';
import { collectOrphans } from './first-process.js';
import type { Configuration, Operated } from './operated.js';
import { writePidfile } from './pidfile.js';
import { followSignals } from './signals.js';
import { takePlace } from './successor.js';
import type { SupervisorDependencies } from './supervisor.js';
import { SystemdNotifier } from './systemd.js';
import { endUncaught } from './uncaught.js';
import { watchWear } from './wear.js';
import { writeWhereabouts } from './whereabouts.js';

/** Not 0, so that systemd or a container's runtime starts another. */
const EXIT_STUCK = 1;

type ReadAgain = () => Promise<Configuration>;

/** Serves until a signal ends the process. Rejects with the LidoError of a start that failed. */
export async function serve(
  configuration: Configuration,
  log: Log,
  readAgain: ReadAgain,
  configFile: string | null,
): Promise<void> {
  outliveReaders();
  const hooks = new HookRunner(configuration.hooks.hooks, log);
  await hooks.callAndWait('onStarting');
  const service = new Service(configuration.settings, log, hooks);
  const readWithHooks = async () => {
    const fresh = await readAgain();
    service.hooks = new HookRunner(fresh.hooks.hooks, log);
    return fresh;
  };
  const reloader = await createReloader(configuration.settings, log, configFile);
  const served = await createOperated(configuration, log, readWithHooks, (files, since) =>
    reloader?.add(files, since),
  );
  reloader?.begin(served);
  await service.start(served);
  reloader?.serve();
}

/** The one server of this process, and what the world knows it by: its pidfile, its control socket, systemd. */
class Service {
  hooks: HookRunner;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #systemd: SystemdNotifier;
  #removePidfile: () => void = () => {};
  #removeWhereabouts: () => void = () => {};
  #closeControl: () => Promise<void> = async () => {};
  #isServing = false;
  #isStopping = false;

  constructor(settings: Settings, log: Log, hooks: HookRunner) {
    this.#settings = settings;
    this.#log = log;
    this.hooks = hooks;
    this.#systemd = new SystemdNotifier(process.env, process.pid, log);
  }

  /** Resolves when it serves. */
  async start(served: Operated): Promise<void> {
    const { predecessor } = birth;
    if (predecessor === null) this.#writePidfile();
    this.#announceReloads(served);
    endUncaught(this.#log, () => this.#removeFiles());
    const stop = (signal: string) => this.#stop(served, signal);
    followSignals(served, { stop, upgrade: () => this.#upgrade(served) }, this.#log);
    try {
      if (predecessor === null) await this.#openControl(served);
      await served.listen();
      if (predecessor === null) this.#writeWhereabouts(served);
    } catch (error) {
      // Told to stop before it served: the end of the process is on its way.
      if (this.#isStopping) return;
      this.#removePidfile();
      throw error;
    }
    if (predecessor !== null) await this.#takeOver(served);
    await onStuckPython(() => void this.#endStuck(served));
    this.#isServing = true;
    this.#log.info(served.describe());
    await this.#systemd.ready(served.describe());
    this.hooks.call('onReady', { addresses: served.addresses });
  }

  #writePidfile(): void {
    this.#removePidfile = writePidfile(this.#settings.pidfile, birth.predecessor?.pid);
  }

  #writeWhereabouts(served: Operated): void {
    this.#removeWhereabouts = writeWhereabouts(this.#settings, served.admin.addresses);
  }

  #removeFiles(): void {
    this.#removeWhereabouts();
    this.#removePidfile();
  }

  async #openControl(served: Operated): Promise<void> {
    const { controlSocket } = this.#settings;
    if (controlSocket === null) return;
    const { openControlSocket } = await import('./control-socket.js');
    this.#closeControl = await openControlSocket(controlSocket, served, this.#log);
  }

  /** It serves already: whatever of the rest is not to be had must not end it. */
  async #takeOver(served: Operated): Promise<void> {
    await takePlace();
    const take = async (act: () => Promise<void> | undefined) => {
      try {
        await act();
      } catch (error) {
        const { code, message } = error as LidoError;
        this.#log.error({ code }, `serving without it: ${message}`);
      }
    };
    await take(async () => this.#writePidfile());
    await take(() => this.#openControl(served));
    await take(() => served.takeOver?.());
    await take(async () => this.#writeWhereabouts(served));
  }

  /** Whoever asks for a reload, systemd hears of its beginning, and of its end whatever becomes of it. */
  #announceReloads(served: Operated): void {
    const reload = served.reload.bind(served);
    served.reload = async () => {
      await this.#systemd.reloading();
      const failure = await reload().then(
        () => null,
        (error: LidoError) => error,
      );
      await this.#systemd.ready(served.describe());
      this.hooks.call('onReload', { error: failure });
      if (failure !== null) throw failure;
    };
  }

  async #stop(served: Operated, why: string, status = 0): Promise<void> {
    this.#isStopping = true;
    await this.#systemd.stopping();
    if (this.#isServing && status === 0) await this.#serveOn(served, why);
    this.#log.info(`${why}: finishing what runs`);
    const deadline = performance.now() + this.#settings.gracefulTimeout * 1000;
    const ended = (await served.close()) && (await endPython(deadline - performance.now(), this.#log));
    this.#removeFiles();
    await this.hooks.callAndWait('onExit');
    if (!ended) await exitPastPython(status);
  }

  /** Whoever sends requests here hears that it is to send them elsewhere, and until it has, they are answered. */
  async #serveOn(served: Operated, why: string): Promise<void> {
    const { shutdownDelay } = this.#settings;
    if (shutdownDelay === 0) return;
    served.announceEnd();
    this.#log.info(`${why}: not ready any more, and serving on for ${shutdownDelay} s`);
    await sleep(shutdownDelay * 1000);
  }

  /** A process whose Python is stuck, and that nobody replaces, is better gone: whoever started it starts another. */
  async #endStuck(served: Operated): Promise<void> {
    if (this.#isStopping) return;
    await this.#stop(served, 'no supervisor can replace this process, so it ends', EXIT_STUCK);
    process.exit(EXIT_STUCK);
  }

  /** Another process takes the place of this one, with its sockets. Rejects with LIDO_SUCCESSOR_FAILED. */
  async #upgrade(served: Operated): Promise<void> {
    const successor = await served.startSuccessor?.();
    if (successor === undefined) return;
    this.#isStopping = true;
    this.#log.info(`process ${successor.pid} takes over: finishing what runs`);
    await this.#systemd.handOver(successor.pid);
    await served.handOver?.(successor, () => this.#closeControl());
    this.#removeFiles();
    await this.hooks.callAndWait('onExit');
  }
}

/** Null without --reload. Only whoever is writing an application pays for what watches files. */
async function createReloader(
  settings: Settings,
  log: Log,
  configFile: string | null,
): Promise<Reloader | null> {
  if (!settings.reload) return null;
  const { Reloader } = await import('./development/reloader.js');
  const files = [
    ...(configFile === null ? [] : [configFile]),
    ...settings.envFile.map((file) => resolve(file)),
  ];
  return new Reloader(files, settings.reloadExtra, log);
}

/** Python is loaded anew, and ended when it is stuck, by another process only. */
function isSupervised(settings: Settings): boolean {
  const { supervise: asked, reload, processes, maxRequests, maxMemory, maxAge } = settings;
  return asked ?? (reload || processes > 1 || maxRequests + maxMemory + maxAge > 0 || servesPython(settings));
}

/** A supervisor runs no application: it does without the code, and the memory, of what does. */
async function createOperated(
  configuration: Configuration,
  log: Log,
  readAgain: ReadAgain,
  loaded: SupervisorDependencies['loaded'],
): Promise<Operated> {
  const { settings, hooks } = configuration;
  if (isSupervised(settings)) {
    const probes = probeFor(settings);
    const { Supervisor } = await import('./supervisor.js');
    collectOrphans();
    return new Supervisor(configuration, { log, readAgain, loaded, probes });
  }
  takeEarly(null);
  const { createServer } = await import('./server.js');
  const server = createServer(settings, { log, hooks: hooks.file === null ? undefined : hooks.hooks });
  watchWear(server, settings, (reason) => {
    log.info(`this process ${reason}, and no supervisor replaces it`);
    process.kill(process.pid, 'SIGTERM');
  });
  return server;
}
