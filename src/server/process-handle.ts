/** Main thread of the supervisor. Its end of one process, from the fork to the end. */
import { type ChildProcess, fork } from 'node:child_process';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromPayload, LidoError, toPayload } from '../contract/errors.js';
import { stopReading } from '../http/wire/stop-reading.js';
import { capturesOutput } from '../log.js';
import { type AnswerTo, patienceFor, type Question } from '../observe/questions.js';
import type { ProcessSnapshot } from '../observe/snapshot.js';
import type { Probes } from '../python/find.js';
import { expandMounts } from '../settings/mounts.js';
import type { Settings } from '../settings/resolve.js';
import { type Arrival, Deliveries } from './deliveries.js';
import { PROCESS_FILE, takeEarly } from './early-process.js';
import type { ListeningHandle } from './listening.js';
import { onLostHandle } from './lost-handles.js';
import type { FromProcess, ProcessReport, ToProcess } from './process-messages.js';
import { arrangeDescriptors, logOutput } from './process-output.js';
import type { VacancyFile } from './vacancy-file.js';

/** A request does not go to a process to which more connections are on their way: it would wait behind them. */
const MOST_ON_THEIR_WAY = 8;

/** More than connections ever weigh: whoever can begin at once comes first, then whoever answers. */
const FULL_BURDEN = 1_000_000;
const OCCUPIED_BURDEN = 2_000_000;

/** What a process has said before its end is read within this time. Milliseconds. */
const LAST_WORDS_MS = 500;

/** What an answer may take of a process that has other things to do. Milliseconds. */
const LOOK_PATIENCE_MS = 500;

/** Finds another process for a connection that leaves one, at `place` if that serves; null where there is none. */
export type FindOther = (leaving: ProcessHandle, place: number) => ProcessHandle | null;

/** What a process is to serve. */
export interface StartOrder {
  readonly settings: Settings;
  /** As in process-messages.ts; on their way. */
  readonly probes: Promise<Probes>;
  readonly hookFile: string | null;
  /** It is to show this, and to import nothing; null elsewhere. */
  readonly failure: LidoError | null;
}

/** What a process has beside its sockets. */
export interface Surroundings {
  readonly vacancies: VacancyFile | null;
  readonly findOther: FindOther;
  /** Told of a connection that did not come to it, and is for others. */
  readonly lost: (arrival: Arrival, loser: ProcessHandle) => void;
  /** Told under --reload of files that the application consists of, which were loaded at that moment or later; Date.now(). */
  readonly loaded: (files: readonly string[], since: number) => void;
}

export class ProcessHandle {
  readonly pid: number;
  /** Resolves with what it serves, for people, once it does; rejects with a LidoError when it cannot. */
  readonly ready: Promise<string>;
  /** Resolves with how it ended, for people: "by SIGKILL", "with status 1". */
  readonly ended: Promise<string>;
  /** Resolves with the reason when it asks for a successor. */
  readonly worn: Promise<string>;
  /** Resolves with what its Python is stuck in when it cannot go on. */
  readonly stuck: Promise<string>;
  /** Lido's own code runs in it: what comes to nothing now is the application's, most likely. */
  hasBegun = false;
  /** performance.now() when it began to serve; null before. */
  servingSince: number | null = null;
  /** True once it may be given connections. */
  isAdmitted = false;
  /** True once it was told to stop. */
  isStopped = false;
  /** What it told of itself last; null before it has told anything. */
  snapshot: ProcessSnapshot | null = null;
  #whenSeen: (() => void)[] = [];
  readonly #whenAnswered = new Map<number, (answer: unknown) => void>();
  #lastToken = 0;
  #hasEnded = false;
  #isKilled = false;
  readonly #child: ChildProcess;
  readonly #deliveries: Deliveries;
  #report: ProcessReport = { connections: 0, taken: 0, isOccupied: false };
  readonly #loaded: Surroundings['loaded'];
  readonly #vacancies: VacancyFile | null;
  readonly #findOther: FindOther;
  /** Where in that file it says whether it could begin a request; null where it does not. */
  readonly place: number | null;

  /** `child`: of forkProcess(), with the same file of vacancies. `sockets`: what it listens on by itself; none where connections are given to it. */
  constructor(
    child: ChildProcess,
    { settings, probes, hookFile, failure }: StartOrder,
    sockets: readonly ListeningHandle[],
    { vacancies, findOther, lost, loaded }: Surroundings,
  ) {
    const finishOutput = child.stdout === null ? null : logOutput(child);
    this.#child = child;
    this.#loaded = loaded;
    this.#vacancies = vacancies;
    this.#findOther = findOther;
    this.#deliveries = new Deliveries(({ index, socket, luggage }, id, behind) =>
      this.#post(['connection', index, id, luggage, behind as unknown as number], socket),
    );
    onLostHandle(child, () => {
      const arrival = this.#deliveries.lose();
      if (arrival !== null) lost(arrival, this);
    });
    this.place = vacancies?.takePlace() ?? null;
    this.pid = child.pid ?? 0;
    this.ended = new Promise((resolve) => {
      child.once('exit', async (code, signal) => {
        await finishOutput?.();
        resolve(signal ? `by ${signal}` : `with status ${code}`);
      });
      // Where the process could not even be made there is no exit.
      child.once('error', (error) => resolve(`before it was made: ${error.message}`));
    });
    void this.ended.then(() => {
      this.#hasEnded = true;
      if (this.place !== null) vacancies?.giveBack(this.place);
    });
    let tellWorn: (reason: string) => void = () => {};
    this.worn = new Promise((resolve) => {
      tellWorn = resolve;
    });
    let tellStuck: (reason: string) => void = () => {};
    this.stuck = new Promise((resolve) => {
      tellStuck = resolve;
    });
    this.ready = this.#listenTo(settings, tellWorn, tellStuck);
    this.ready.catch(() => {});
    for (const [index, handle] of sockets.entries()) this.#post(['listen', index], handle);
    const payload = failure === null ? null : toPayload(failure);
    const known = { settings, hookFile, place: this.place, failure: payload };
    // The Pythons are asked while the process begins, which takes longer.
    void probes.then((found) => this.#post(['start', { ...known, probes: found, environment: process.env }]));
  }

  get isServing(): boolean {
    return this.isAdmitted && !this.isStopped && !this.#hasEnded;
  }

  /** What it is given now it would not take soon. */
  get standsStill(): boolean {
    return this.#deliveries.areHeldUp;
  }

  /** How much less than others it should be given a connection; the smallest is the one. */
  get burden(): number {
    const { connections, taken, isOccupied } = this.#report;
    const isFull = this.place !== null && this.#vacancies?.isVacant(this.place) === false;
    const connectionsToBe = connections + this.#deliveries.given - taken;
    const isAway = isOccupied || this.standsStill;
    return connectionsToBe + (isFull ? FULL_BURDEN : 0) + (isAway ? OCCUPIED_BURDEN : 0);
  }

  give(arrival: Arrival): void {
    this.#deliveries.give(arrival);
  }

  /** Connections that it will not take any more, for it has ended: they are for others. */
  async takeBack(): Promise<readonly Arrival[]> {
    // It may have said before its end that it has taken some.
    if (this.#child.connected)
      await Promise.race([
        new Promise((resolve) => this.#child.once('disconnect', resolve)),
        sleep(LAST_WORDS_MS),
      ]);
    return this.#deliveries.takeBack();
  }

  /** Resolves once no connection is on its way to it, or after so long: one that stands still takes none. */
  settle(longestMs: number): Promise<void> {
    return this.#deliveries.settle(longestMs, this.ended);
  }

  /** Lets it answer every request with what keeps its successor from being loaded. */
  showFailure(error: LidoError): void {
    this.#post(['broken', toPayload(error)]);
  }

  /** Lets it do what log rotation asks for. */
  reopenLogs(): void {
    this.#post(['reopen']);
  }

  /** Lets others have the connections that come to its listening sockets. */
  leave(): void {
    this.#post(['leave']);
  }

  /** Lets it finish what it runs and end; one that does not serve yet has nothing to finish. */
  stop(isLast: boolean): void {
    if (this.servingSince === null) this.kill();
    else if (!this.isStopped) this.#post(['stop', isLast]);
    this.isStopped = true;
  }

  /** Ends it at once, with what it runs. */
  kill(): void {
    this.#isKilled = true;
    this.#child.kill('SIGKILL');
  }

  /** For slow-birth.ts: nobody asked for its end, so that it has not begun is why it ends. */
  abandon(): void {
    this.#child.kill('SIGKILL');
  }

  /** Asks what it is at; resolves when `snapshot` is of now, or it has not answered for long: it may be stuck. */
  look(): Promise<void> {
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, LOOK_PATIENCE_MS);
      this.#whenSeen.push(() => {
        clearTimeout(patience);
        resolve();
      });
      this.#post(['look']);
    });
  }

  /** Resolves with null when it does not answer in time. */
  ask<Q extends Question>(question: Q): Promise<AnswerTo<Q> | null> {
    this.#lastToken += 1;
    const token = this.#lastToken;
    return new Promise((resolve) => {
      const answer = (told: unknown) => {
        clearTimeout(patience);
        this.#whenAnswered.delete(token);
        resolve(told as AnswerTo<Q> | null);
      };
      const patience = setTimeout(answer, patienceFor(question), null);
      this.#whenAnswered.set(token, answer);
      this.#post(['ask', token, question]);
    });
  }

  #see(snapshot: ProcessSnapshot): void {
    this.snapshot = snapshot;
    for (const tell of this.#whenSeen.splice(0)) tell();
  }

  #listenTo(
    settings: Settings,
    tellWorn: (reason: string) => void,
    tellStuck: (reason: string) => void,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#child.on('message', (message, handle) => {
        const received = message as FromProcess;
        switch (received[0]) {
          case 'begun':
            this.hasBegun = true;
            return;
          case 'ready':
            this.servingSince = performance.now();
            resolve(received[1]);
            return;
          case 'failed':
            reject(fromPayload(received[1]));
            return;
          case 'taken':
            this.#deliveries.letGo(received[1]);
            return;
          case 'leaves':
            this.#passOn(received, handle);
            return;
          case 'report':
            this.#report = received[1];
            return;
          case 'seen':
            this.#see(received[1]);
            return;
          case 'answer':
            this.#whenAnswered.get(received[1])?.(received[2]);
            return;
          case 'files':
            this.#loaded(received[1], received[2]);
            return;
          case 'worn':
            tellWorn(received[1]);
            return;
          case 'stuck':
            tellStuck(received[1]);
        }
      });
      void this.ended.then((how) => reject(this.#explainEnd(settings, how)));
    });
  }

  /** An application has no part in it that Node could not begin. */
  #explainEnd(settings: Settings, how: string): LidoError {
    return this.hasBegun || this.#isKilled
      ? new LidoError('LIDO_ENDED_WHILE_LOADING', [nameApplications(settings), `its process ended ${how}`])
      : new LidoError('LIDO_NO_THREADS', [`a process ended ${how}, and had not come to Lido's code`]);
  }

  /** The process keeps its hold of it until it is told what becomes of it. */
  #passOn(
    [, id, index, luggage, place]: Extract<FromProcess, readonly ['leaves', ...unknown[]]>,
    handle: unknown,
  ): void {
    const socket = handle instanceof Socket ? handle : null;
    if (socket !== null) stopReading(socket);
    const other = socket === null ? null : this.#findOther(this, place);
    if (socket === null || other === null || other.#deliveries.count > MOST_ON_THEIR_WAY) {
      socket?.destroy();
      this.#post(['stays', id]);
      return;
    }
    socket.on('error', () => {});
    // Told before the other one has it: it is not to be served twice, whoever ends in between.
    this.#post(['left', id]);
    other.give({ index, socket, luggage });
  }

  /** A process that is gone takes no message; that it is gone is seen by its end. */
  #post(message: ToProcess, handle?: ListeningHandle | Socket): void {
    this.#child.send(message, handle as Socket, { keepOpen: true }, () => {});
  }
}

/** A process that has loaded Lido's own code, and waits to be told what to serve. */
export function forkProcess(settings: Settings, vacancies: VacancyFile | null): ChildProcess {
  const name = nameApplications(settings);
  const isRead = capturesOutput(settings);
  const early = takeEarly(isRead || vacancies !== null ? null : name);
  if (early !== null) return early;
  return fork(PROCESS_FILE, [name], { stdio: arrangeDescriptors(isRead, vacancies?.fd ?? null) });
}

/** "hello.js:application", or several of them. */
export function nameApplications(settings: Settings): string {
  return expandMounts(settings)
    .map(([, { application }]) => application)
    .join(', ');
}
