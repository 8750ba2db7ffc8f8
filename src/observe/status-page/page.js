// In the operator's browser. Shows what /events tells, each second. Everything is set as text, never as markup: paths,
// fields and messages are what strangers wrote.
(() => {
  const find = (id) => document.getElementById(id);
  let isPaused = false;
  /** Processor seconds at the last event, by process id. */
  let lastCpu = new Map();

  const events = new EventSource('events');
  events.onmessage = ({ data }) => {
    if (!isPaused) show(JSON.parse(data));
  };
  events.onerror = () => showState('not reached', 'bad', []);

  find('pause').onclick = ({ currentTarget: button }) => {
    isPaused = !isPaused;
    button.setAttribute('aria-pressed', String(isPaused));
    button.textContent = isPaused ? 'Go on' : 'Pause';
  };

  function show(overview) {
    const { readiness, history, now } = overview;
    showState(
      readiness.isReady ? 'ready' : 'not ready',
      readiness.isReady ? 'good' : 'bad',
      readiness.reasons,
    );
    showTiles(history, overview.processes);
    showWorkers(overview.processes);
    showProcesses(overview.processes, now);
    showSlowest(overview.slowest, now);
    showErrors(overview.errors, now);
    showFailures(overview.failures);
    fill(
      'restarts',
      overview.restarts.map(({ at, what, why }) => [formatAge(now - at), what, long(why)]),
    );
  }

  function showState(text, kind, reasons) {
    find('state').textContent = text;
    find('state').className = `badge ${kind}`;
    find('reasons').textContent = reasons.join('; ');
    document.title = `Lido: ${text}`;
  }

  function showTiles(history, processes) {
    const last = history.at(-1);
    if (last === undefined) return;
    tell('rate', formatNumber(last.requestsPerSecond));
    tell('latency', formatMs(last.p50), `p50 · p95 ${formatMs(last.p95)} · p99 ${formatMs(last.p99)}`);
    tell('wait', `${Math.round(last.waitShare * 100)} %`);
    tell('backlog', formatNumber(last.waiting), 'wait for a worker');
    tell('busy', formatNumber(last.busy), `of ${last.workers}${describeLimits(processes)}`);
    tell('errors-rate', formatNumber(last.errorsPerSecond));
    draw('rate-line', history, ({ requestsPerSecond }) => requestsPerSecond);
    draw('latency-line', history, ({ p99 }) => p99 ?? 0);
    draw('wait-line', history, ({ waitShare }) => waitShare, 1);
    draw('backlog-line', history, ({ waiting }) => waiting);
    draw('busy-line', history, ({ busy }) => busy, last.workers);
    draw('errors-line', history, ({ errorsPerSecond }) => errorsPerSecond);
  }

  /** ' (4 to 32)' where the number of workers changes by itself. */
  function describeLimits(processes) {
    const limits = processes.flatMap(({ applications }) => applications.map(({ threads }) => threads));
    const min = limits.reduce((sum, each) => sum + each.min, 0);
    const max = limits.reduce((sum, each) => sum + each.max, 0);
    return min === max ? '' : ` (${min} to ${max})`;
  }

  function tell(id, text, detail = '') {
    const small = document.createElement('small');
    small.textContent = ` ${detail}`;
    find(id).replaceChildren(text, small);
  }

  /** A line of the last two minutes, the newest at the right. */
  function draw(id, history, read, most = 0) {
    const values = history.map(read);
    const top = Math.max(most, ...values) || 1;
    const points = values.map((value, index) => {
      const x = 120 - (values.length - 1 - index);
      return `${x},${(29 - (value / top) * 27).toFixed(1)}`;
    });
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    for (const [name, value] of Object.entries({
      points: points.join(' '),
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': '1.2',
      'vector-effect': 'non-scaling-stroke',
    }))
      line.setAttribute(name, value);
    find(id).replaceChildren(line);
  }

  function showWorkers(processes) {
    const rows = processes.flatMap(({ number, applications }) =>
      applications.flatMap(({ mount, application, workers }) =>
        workers.map(({ id, state, running, queued, heap }) => [
          `${number}/${id}`,
          state,
          long(running.map(({ method, url }) => `${method} ${url}`).join('\n')),
          running.length === 0 ? '' : formatMs(Math.max(...running.map(({ ageMs }) => ageMs))),
          queued,
          `${mount} ${application}`,
          heap === null ? '' : formatBytes(heap.used),
        ]),
      ),
    );
    fill('workers', rows);
  }

  function showProcesses(processes, now) {
    const seen = new Map();
    const rows = processes.map(({ number, pid, state, startedAt, vitals, connections }) => {
      const last = lastCpu.get(pid);
      seen.set(pid, { at: now, cpu: vitals.cpu });
      const share =
        last === undefined || now <= last.at ? null : (vitals.cpu - last.cpu) / ((now - last.at) / 1000);
      return [
        number,
        pid,
        state,
        formatAge(now - startedAt),
        share === null ? '' : `${Math.round(share * 100)} %`,
        formatBytes(vitals.residentMemory),
        `${connections.active} active, ${connections.idle} idle`,
      ];
    });
    lastCpu = seen;
    fill('processes', rows);
  }

  function showSlowest(slowest, now) {
    const rows = slowest.map(({ durationMs, waitMs, status, method, url, endedAt, requestId }) => [
      formatMs(durationMs),
      formatMs(waitMs),
      status,
      long(`${method} ${url}`),
      formatAge(now - endedAt),
      requestId,
    ]);
    fill('slowest', rows);
  }

  function showErrors(errors, now) {
    // One that somebody reads stays open.
    const open = new Set(
      [...find('errors').querySelectorAll('details[open]')].map(({ dataset }) => dataset.key),
    );
    const items = errors.map(({ at, code, message, method, url, requestId, traceback }) => {
      const item = document.createElement('details');
      item.dataset.key = `${at} ${requestId}`;
      item.open = open.has(item.dataset.key);
      const summary = document.createElement('summary');
      summary.textContent = `${formatAge(now - at)} · ${code} · ${method} ${url} · ${message}`;
      const stack = document.createElement('pre');
      stack.textContent = `${traceback || 'no traceback'}\nrequest ${requestId}`;
      item.append(summary, stack);
      return item;
    });
    find('errors').replaceChildren(...(items.length > 0 ? items : [makeEmpty('p')]));
  }

  /** A refusal's code has its status behind it. */
  function showFailures(failures) {
    const most = Object.entries(failures).sort(([, one], [, other]) => other - one);
    fill(
      'failures',
      most.map(([why, count]) => [formatNumber(count), long(why)]),
    );
  }

  function fill(id, rows) {
    const made = rows.map((cells) => {
      const row = document.createElement('tr');
      for (const cell of cells) {
        const made = document.createElement('td');
        made.textContent = cell?.long ?? cell;
        if (cell?.long !== undefined) made.className = 'long';
        row.append(made);
      }
      return row;
    });
    find(id).replaceChildren(...(made.length > 0 ? made : [makeEmptyRow()]));
  }

  function makeEmptyRow() {
    const row = document.createElement('tr');
    row.append(makeEmpty('td'));
    return row;
  }

  function makeEmpty(tag) {
    const empty = document.createElement(tag);
    empty.className = 'empty';
    empty.textContent = 'none';
    return empty;
  }

  /** Text that may be broken into lines. */
  function long(text) {
    return { long: text };
  }

  function formatNumber(number) {
    return number >= 100 || Number.isInteger(number)
      ? Math.round(number).toLocaleString('en')
      : number.toFixed(1);
  }

  function formatMs(ms) {
    if (ms === null) return '–';
    if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
    if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
    return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
  }

  function formatAge(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    return `${Math.floor(seconds / 86_400)} days`;
  }

  function formatBytes(bytes) {
    return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${Math.round(bytes / 1e6)} MB`;
  }
})();
