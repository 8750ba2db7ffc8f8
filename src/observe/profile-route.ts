/** Main thread, of the supervisor where there is one. Answers a profile, as a file to be saved. One is taken at a time. */
import type { ServerResponse } from 'node:http';
import { send, sendText } from './admin-server.js';
import type { Hub } from './hub.js';
import { MAX_PROFILE_SECONDS, type ProfileRequest } from './profile.js';

const DEFAULT_SECONDS = 10;

/** Servers of which a profile is being taken. */
const busy = new WeakSet<Hub>();

/** `seconds`, `process`, `worker`, `mount` in the query; without them, ten seconds of what is busiest. */
export async function sendProfile(response: ServerResponse, query: URLSearchParams, hub: Hub): Promise<void> {
  const seconds = readNumber(query, 'seconds') ?? DEFAULT_SECONDS;
  const worker = readNumber(query, 'worker');
  const number = readNumber(query, 'process');
  if (!(seconds > 0 && seconds <= MAX_PROFILE_SECONDS) || Number.isNaN(worker) || Number.isNaN(number)) {
    sendText(
      response,
      400,
      `seconds takes more than 0 and at most ${MAX_PROFILE_SECONDS}, others a number\n`,
    );
  } else if (response.req.headers['sec-fetch-site'] === 'cross-site') {
    sendText(response, 403, 'a profile costs time: another site has none taken\n');
  } else if (busy.has(hub)) {
    sendText(response, 409, 'a profile is being taken: one at a time\n');
  } else {
    busy.add(hub);
    try {
      await answer(response, hub, number, { seconds, worker, mount: query.get('mount') });
    } finally {
      busy.delete(hub);
    }
  }
}

async function answer(
  response: ServerResponse,
  hub: Hub,
  number: number | null,
  request: Omit<ProfileRequest, 'pid'>,
): Promise<void> {
  const pid = await findProcess(hub, number);
  const answers = pid === null ? null : await hub.ask(['profile', { ...request, pid }]);
  const found = [...(answers?.values() ?? [])].find((each) => each !== null);
  if (found === undefined) sendText(response, 404, 'no process answers that is meant\n');
  else if ('failure' in found) sendText(response, 404, `${found.failure}\n`);
  else {
    response.setHeader('Content-Disposition', `attachment; filename="${found.name}"`);
    send(response, 200, 'application/json', found.content);
  }
}

/** Of several processes, without a number, the one with the most busy workers. */
async function findProcess(hub: Hub, number: number | null): Promise<number | null> {
  await hub.refresh();
  const found = hub
    .overview()
    .processes.filter((process) => number === null || process.number === number)
    .map(({ pid, applications }) => {
      const workers = applications.flatMap((application) => application.workers);
      return { pid, load: workers.filter(({ state }) => state === 'busy').length };
    });
  return found.sort((one, other) => other.load - one.load)[0]?.pid ?? null;
}

/** Null where it is not there, NaN where it is no number. */
function readNumber(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  return text === null ? null : text === '' ? Number.NaN : Number(text);
}
