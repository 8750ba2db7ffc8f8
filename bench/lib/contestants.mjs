/** Who takes part, with how many processes and threads. */
import { availableParallelism } from 'node:os';
import { peers } from './peers.mjs';

/** Workers that the scenarios give to everyone who can have several. */
export const CORES = availableParallelism();

/** A peer in one configuration. `label` is its name in the tables; `app` stands in for its group's. */
export function enter(peer, { processes = 1, threads = 1, options, note, app } = {}) {
  const shape = `${processes} × ${threads}`;
  return {
    peer,
    processes,
    threads,
    options,
    app,
    label: `${peer}${note ? `, ${note}` : ''} (${shape})`,
    own: peers[peer].own === true,
  };
}

/** The Python peers with so many workers each: processes where they have them, threads where they have not. */
export function pythonPeers(workers, names) {
  const threaded = ['waitress', 'cheroot'];
  return names.map((name) =>
    enter(name, threaded.includes(name) ? { threads: workers } : { processes: workers }),
  );
}

export const ALL_PYTHON = [
  'gunicorn sync',
  'gunicorn gthread',
  'uWSGI --http',
  'uWSGI --http11-socket',
  'waitress',
  'granian',
  'bjoern',
  'cheroot',
  'mod_wsgi',
];
