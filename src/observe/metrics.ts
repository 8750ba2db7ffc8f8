/**
 * Main thread. Snapshots ► Prometheus's text. Names and labels by prometheus.io/docs/practices/naming: base units, totals
 * of counters end in _total. Counters have no label for the process, so that one which ended leaves no series behind;
 * gauges have.
 */
import { BOUNDS, countAll, type HistogramData, TOLD_BOUNDS } from './histogram.js';
import type { ApplicationSnapshot, ProcessSnapshot, TrafficData } from './snapshot.js';
import { NOWHERE } from './traffic.js';

type Labels = Readonly<Record<string, string>>;

interface Value {
  readonly value: number;
  readonly labels: Labels;
  readonly metricName?: string;
}

/** As prom-client's registries give and take it. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: 'sum';
  readonly values: Value[];
}

/** What is counted of a mount, over all processes and all that ended. */
export type Totals = ReadonlyMap<string, TrafficData>;

export interface MetricsSource {
  /** By their number, which is the label `process`. */
  readonly processes: ReadonlyMap<number, ProcessSnapshot>;
  readonly totals: Totals;
  /** Processes that the supervisor replaced, by how they ended. */
  readonly processRestarts: Readonly<Record<string, number>>;
  readonly isReady: boolean;
}

/** Prometheus's text, and its content type. */
export async function writeMetrics(source: MetricsSource): Promise<{ type: string; text: string }> {
  // A third of what Lido loads, so only where somebody asks.
  const { AggregatorRegistry } = (await import('prom-client')).default;
  const registry = AggregatorRegistry.aggregate([describeAll(source)]);
  return { type: registry.contentType, text: await registry.metrics() };
}

function describeAll(source: MetricsSource): Family[] {
  const families = new Families();
  families.add('lido_ready', 'gauge', 'Whether the server takes requests: 1 or 0.', Number(source.isReady));
  for (const [mount, traffic] of source.totals) addTraffic(families, mount, traffic);
  for (const [how, count] of Object.entries(source.processRestarts))
    families.add(
      'lido_process_restarts_total',
      'counter',
      'Processes that ended and were replaced, by how they ended.',
      count,
      {
        cause: how,
      },
    );
  for (const [number, snapshot] of source.processes) addProcess(families, String(number), snapshot);
  return families.list();
}

function addTraffic(families: Families, mount: string, traffic: TrafficData): void {
  for (const [key, count] of Object.entries(traffic.requests)) {
    const [method = '', status = ''] = key.split(' ');
    families.add(
      'lido_requests_total',
      'counter',
      'Requests that were answered, or whose client went.',
      count,
      {
        mount,
        method,
        status,
      },
    );
  }
  if (mount !== NOWHERE) addTimes(families, mount, traffic);
  families.add(
    'lido_request_body_bytes_total',
    'counter',
    'Bytes of request bodies.',
    traffic.bytesReceived,
    { mount },
  );
  families.add('lido_response_body_bytes_total', 'counter', 'Bytes of response bodies.', traffic.bytesSent, {
    mount,
  });
  for (const [code, count] of Object.entries(traffic.restarts))
    families.add(
      'lido_worker_restarts_total',
      'counter',
      'Workers that were replaced, by the error that ended them.',
      count,
      {
        mount,
        cause: code,
      },
    );
  for (const [direction, count] of Object.entries(traffic.scalings))
    families.add(
      'lido_worker_scalings_total',
      'counter',
      'Workers that were started because requests waited, and ended because they were not needed.',
      count,
      { mount, direction },
    );
  addFailures(families, mount, traffic.failures);
}

function addTimes(families: Families, mount: string, traffic: TrafficData): void {
  families.addHistogram(
    'lido_request_duration_seconds',
    'From when a request’s head was read until its answer was over.',
    traffic.duration,
    { mount },
  );
  families.addHistogram('lido_request_wait_seconds', 'What requests waited for a worker.', traffic.wait, {
    mount,
  });
}

/** Codes of requests that Lido refused itself, and what they are called here; the rest failed in the application. */
const REFUSALS: Readonly<Record<string, string>> = {
  LIDO_BACKLOG_FULL: 'backlog_full',
  LIDO_WAITED_TOO_LONG: 'waited_too_long',
  LIDO_TOO_MANY_CONNECTIONS: 'too_many_connections',
  LIDO_TOO_MANY_FROM_ADDRESS: 'too_many_from_address',
  LIDO_BUFFERS_FULL: 'buffers_full',
  LIDO_BUFFER_DISK_FULL: 'buffer_disk_full',
  LIDO_BUFFER_FILE_FAILED: 'buffer_file_failed',
  LIDO_NO_WORKER: 'no_worker',
  LIDO_SHUTTING_DOWN: 'shutting_down',
};

function addFailures(families: Families, mount: string, failures: Readonly<Record<string, number>>): void {
  let timedOut = 0;
  for (const [key, count] of Object.entries(failures)) {
    const [code = '', status] = key.split(' ');
    const reason = status === undefined ? REFUSALS[code] : `status_${status}`;
    if (code === 'LIDO_TIMED_OUT') timedOut += count;
    else if (reason !== undefined)
      families.add(
        'lido_refusals_total',
        'counter',
        'Requests and connections that Lido refused, by the reason.',
        count,
        {
          mount,
          reason,
        },
      );
    else
      families.add('lido_errors_total', 'counter', 'Requests that failed, by the error.', count, {
        mount,
        code,
      });
  }
  families.add('lido_timeouts_total', 'counter', 'Requests whose application took too long.', timedOut, {
    mount,
  });
}

function addProcess(families: Families, process: string, snapshot: ProcessSnapshot): void {
  const { vitals, connections } = snapshot;
  for (const state of ['active', 'idle'] as const)
    families.add(
      'lido_connections',
      'gauge',
      'Connections, by whether a request is being answered.',
      connections[state],
      {
        process,
        state,
      },
    );
  for (const application of snapshot.applications) addWorkers(families, process, application);
  families.addHistogram(
    'lido_event_loop_longest_delay_seconds',
    'The longest delay of the main thread’s event loop in each second.',
    vitals.loopDelay,
    { process },
  );
  const add = (name: string, type: 'counter' | 'gauge', help: string, value: number, labels: Labels = {}) =>
    families.add(name, type, help, value, { process, ...labels });
  add(
    'lido_event_loop_active_seconds_total',
    'counter',
    'Time in which the main thread’s event loop had work.',
    vitals.loopActive,
  );
  add('process_resident_memory_bytes', 'gauge', 'Resident memory.', vitals.residentMemory);
  add('process_cpu_seconds_total', 'counter', 'Processor time of all threads.', vitals.cpu);
  add(
    'process_start_time_seconds',
    'gauge',
    'When the process began, since 1970.',
    snapshot.startedAt / 1000,
  );
  add('lido_main_heap_bytes', 'gauge', 'V8’s heap of the main thread.', vitals.heapUsed);
  if (vitals.mainCpu !== null)
    add(
      'lido_main_thread_cpu_seconds_total',
      'counter',
      'Processor time of the main thread.',
      vitals.mainCpu,
    );
}

function addWorkers(families: Families, process: string, application: ApplicationSnapshot): void {
  const { mount, runtime, backlog, workers } = application;
  families.add('lido_application_info', 'gauge', 'What is served where.', 1, {
    process,
    mount,
    application: application.application,
    runtime,
  });
  families.add('lido_backlog_requests', 'gauge', 'Requests that no worker has yet.', backlog.size, {
    process,
    mount,
  });
  families.add(
    'lido_backlog_oldest_seconds',
    'gauge',
    'How long the oldest of them has waited.',
    backlog.oldestMs / 1000,
    {
      process,
      mount,
    },
  );
  const { min, max } = application.threads;
  families.add('lido_workers_min', 'gauge', 'The fewest workers that there may be.', min, { process, mount });
  families.add('lido_workers_max', 'gauge', 'The most workers that there may be.', max, { process, mount });
  if (application.webSockets !== null)
    families.add('lido_websockets', 'gauge', 'WebSockets that are open.', application.webSockets, {
      process,
      mount,
    });
  for (const state of ['busy', 'idle', 'starting'] as const) {
    const count = workers.filter((worker) => worker.state === state).length;
    families.add('lido_workers', 'gauge', 'Workers, by what they do.', count, { process, mount, state });
  }
  for (const { id, heap, cpu, gilWait } of workers) {
    const labels = { process, mount, worker: String(id) };
    if (heap !== null) {
      families.add('lido_worker_heap_bytes', 'gauge', 'V8’s heap of a worker.', heap.used, labels);
      families.add('lido_worker_heap_limit_bytes', 'gauge', 'The most that it may be.', heap.limit, labels);
    }
    if (cpu !== null)
      families.add('lido_worker_cpu_seconds_total', 'counter', 'Processor time of a worker.', cpu, labels);
    if (gilWait !== null)
      families.add(
        'lido_worker_gil_wait_seconds_total',
        'counter',
        'What a worker waited for the GIL as it woke.',
        gilWait,
        labels,
      );
  }
}

class Families {
  readonly #families = new Map<string, Family>();

  add(name: string, type: Family['type'], help: string, value: number, labels: Labels = {}): void {
    this.#find(name, type, help).values.push({ value, labels });
  }

  addHistogram(name: string, help: string, data: HistogramData, labels: Labels): void {
    const { values } = this.#find(name, 'histogram', help);
    for (const bound of TOLD_BOUNDS) {
      const upTo = data.counts.slice(0, BOUNDS.indexOf(bound) + 1).reduce((sum, count) => sum + count, 0);
      values.push({ metricName: `${name}_bucket`, value: upTo, labels: { ...labels, le: String(bound) } });
    }
    const count = countAll(data);
    values.push({ metricName: `${name}_bucket`, value: count, labels: { ...labels, le: '+Inf' } });
    values.push({ metricName: `${name}_sum`, value: data.sum, labels });
    values.push({ metricName: `${name}_count`, value: count, labels });
  }

  list(): Family[] {
    return [...this.#families.values()];
  }

  #find(name: string, type: Family['type'], help: string): Family {
    const known = this.#families.get(name);
    if (known !== undefined) return known;
    const family: Family = { name, help, type, aggregator: 'sum', values: [] };
    this.#families.set(name, family);
    return family;
  }
}
