/** Main thread. An overview ► lines for a terminal. Pure. */
import type { Moment, Overview } from '../../observe/hub.js';

/** How rows of workers are ordered. */
export const ORDERS = ['by worker', 'by time', 'by application'] as const;

export type Order = (typeof ORDERS)[number];

/** Kinds of failures that fit a line. */
const MOST_FAILURES = 5;

interface Row {
  readonly worker: string;
  readonly state: string;
  readonly ageMs: number | null;
  readonly queued: number;
  readonly mount: string;
  readonly runs: string;
}

/** As many lines as `height`, none longer than `width`. */
export function drawScreen(overview: Overview, order: Order, width: number, height: number): string[] {
  const rows = sortRows(listRows(overview), order);
  const lines = [
    ...describeServer(overview),
    '',
    formatRow('WORKER', 'STATE', 'FOR', 'QUEUED', 'MOUNT', 'RUNS NOW'),
    ...rows.map(({ worker, state, ageMs, queued, mount, runs }) =>
      formatRow(
        worker,
        state,
        ageMs === null ? '' : formatMs(ageMs),
        queued === 0 ? '' : String(queued),
        mount,
        runs,
      ),
    ),
    '',
    ...describeLast(overview),
  ];
  return lines.slice(0, height).map((line) => cut(line, width));
}

function describeServer({ readiness, history, processes, requests, failures }: Overview): string[] {
  const ready = readiness.isReady ? 'ready' : `not ready: ${readiness.reasons.join('; ')}`;
  const memory = processes.reduce((sum, { vitals }) => sum + vitals.residentMemory, 0);
  const connections = processes.reduce(
    (sum, each) => sum + each.connections.active + each.connections.idle,
    0,
  );
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const count = `${processes.length} process${processes.length === 1 ? '' : 'es'}`;
  return [
    `lido: ${ready}; ${count}, ${formatBytes(memory)}, ${connections} connections`,
    `${requests} requests so far, ${failed} of them failed or refused${describeFailures(failures)}`,
    ...describeMoment(history.at(-1), describeLimits(processes)),
  ];
}

/** ': 57 LIDO_BACKLOG_FULL, 3 LIDO_APPLICATION_RAISED', those that are most first. */
function describeFailures(failures: Overview['failures']): string {
  const most = Object.entries(failures)
    .sort(([, one], [, other]) => other - one)
    .slice(0, MOST_FAILURES);
  return most.length === 0 ? '' : `: ${most.map(([code, count]) => `${count} ${code}`).join(', ')}`;
}

/** ' (4 to 32)' where the number of workers changes by itself. */
function describeLimits(processes: Overview['processes']): string {
  const limits = processes.flatMap(({ applications }) => applications.map(({ threads }) => threads));
  const [min, max] = [
    limits.reduce((sum, each) => sum + each.min, 0),
    limits.reduce((sum, each) => sum + each.max, 0),
  ];
  return min === max ? '' : ` (${min} to ${max})`;
}

function describeMoment(moment: Moment | undefined, limits: string): string[] {
  if (moment === undefined) return ['no second is over yet'];
  const { p50, p95, p99, waitShare, waiting, busy, workers } = moment;
  const latency =
    p50 === null
      ? 'none answered lately'
      : `p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, p99 ${formatMs(p99)}`;
  return [
    `${moment.requestsPerSecond.toFixed(1)} requests/s, ${moment.errorsPerSecond.toFixed(1)} errors/s; ${latency}`,
    `${busy} of ${workers}${limits} workers busy; ${waiting} in the backlog; ${Math.round(waitShare * 100)} % of the time is waiting`,
  ];
}

function describeLast({ slowest: [slow], errors: [error], restarts: [restart], now }: Overview): string[] {
  const lines: string[] = [];
  if (slow !== undefined)
    lines.push(
      `slowest lately: ${slow.method} ${slow.url} [${slow.requestId}] took ${formatMs(slow.durationMs)}, of which it waited ${formatMs(slow.waitMs)}`,
    );
  if (error !== undefined)
    lines.push(
      `last error, ${formatMs(now - error.at)} ago: ${error.code} ${error.method} ${error.url} ${error.message}`,
    );
  if (restart !== undefined)
    lines.push(`last restart, ${formatMs(now - restart.at)} ago: ${restart.what}: ${restart.why}`);
  return lines.map(printable);
}

function listRows({ processes }: Overview): Row[] {
  return processes.flatMap(({ number, applications }) =>
    applications.flatMap(({ mount, workers }) =>
      workers.map(({ id, state, queued, running }) => ({
        worker: `${number}/${id}`,
        state,
        ageMs: running.length === 0 ? null : Math.max(...running.map(({ ageMs }) => ageMs)),
        queued,
        mount: printable(mount),
        runs: printable(
          running.map(({ method, url, requestId }) => `${method} ${url} [${requestId}]`).join(', '),
        ),
      })),
    ),
  );
}

function sortRows(rows: readonly Row[], order: Order): Row[] {
  if (order === 'by time') return [...rows].sort((one, other) => (other.ageMs ?? -1) - (one.ageMs ?? -1));
  if (order === 'by application') return [...rows].sort((one, other) => one.mount.localeCompare(other.mount));
  return [...rows];
}

function formatRow(
  worker: string,
  state: string,
  age: string,
  queued: string,
  mount: string,
  runs: string,
): string {
  return `${worker.padEnd(7)} ${state.padEnd(9)} ${age.padStart(8)} ${queued.padStart(6)}  ${mount.padEnd(12)} ${runs}`;
}

/** What strangers wrote must not move the cursor. */
function printable(text: string): string {
  return text.replace(/[^ -~\u00a1-\u1fff]/g, '?');
}

function cut(line: string, width: number): string {
  return line.length <= width ? line.trimEnd() : `${line.slice(0, width - 1)}…`;
}

function formatMs(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return ms < 600_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s` : `${Math.round(ms / 60_000)} min`;
}

function formatBytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
