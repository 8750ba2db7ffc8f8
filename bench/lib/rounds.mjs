/**
 * Runs a scenario: every contestant once in each round, one after the other, so that what changes on the machine
 * meanwhile hits them all. A contestant that does not start or answers wrongly is left out, with the reason.
 */
import { measure } from './measure.mjs';
import { measureOwnCost } from './own-cost.mjs';
import { peers } from './peers.mjs';
import { saturate } from './saturate.mjs';
import { checkAnswer, startServer } from './server.mjs';
import { measureSteadily } from './steadiness.mjs';

/** wrk counts in whole seconds. A load may ask for more. */
const WARM_UP_SECONDS = 1;

/** Groups of the scenario with, for each load, `entries`: { label, own, rounds: [figures], failed }. */
export async function runScenario(scenario, { rounds, seconds, environment, only, group: part, say }) {
  const groups = [];
  for (const group of scenario.groups.filter(({ name }) => name.includes(part))) {
    const contestants = group.contestants.filter((one) => wanted(one, only) && peers[one.peer].found());
    const ownCosts = group.loads.map((load) =>
      load.ownCost ? measureOwnCost(group.app, load.path, environment) : null,
    );
    const entries = contestants.map((contestant) => ({
      contestant,
      failed: null,
      loads: group.loads.map(() => []),
    }));
    for (let round = 0; round < Math.min(rounds, group.rounds ?? rounds); round++) {
      for (const entry of rotate(entries, round)) {
        say(`${group.name}, round ${round + 1}: ${entry.contestant.label}`);
        if (entry.failed === null) await runRound(group, entry, round, { seconds, environment, ownCosts });
      }
    }
    groups.push({ name: group.name, loads: group.loads.map((load, index) => gather(load, index, entries)) });
  }
  return groups;
}

async function runRound(group, entry, round, { seconds, environment, ownCosts }) {
  let server;
  try {
    server = await startServer(entry.contestant, group.app, group.expect, environment);
    for (const check of group.checks ?? []) await checkAnswer(server, check);
    for (const [index, load] of group.loads.entries()) {
      if (round >= (load.rounds ?? Number.POSITIVE_INFINITY)) continue;
      if (load.kind === 'saturate') await warmUp(server, load, group.expect);
      else if (load.kind === 'echo' || load.kind === 'fanOut')
        await measure(server, { ...load, seconds: WARM_UP_SECONDS });
      const timing = { seconds: seconds * (load.secondsFactor ?? 1), seed: round + 1 };
      const figures = await measureSteadily(() => measure(server, { ...load, ...timing }));
      entry.loads[index].push(withoutOwn(figures, ownCosts[index]));
    }
    await checkAnswer(server, group.expect);
  } catch (error) {
    entry.failed = error.message;
  } finally {
    await server?.stop();
  }
}

/** What the server takes itself is what remains without the application, which costs the same everywhere. */
const withoutOwn = (figures, own) =>
  own === null || figures.cpu === null ? figures : { ...figures, cpuBeyond: figures.cpu - own };

/** What the warm-up left in the server's queue is worked off first: our question stands behind it. */
async function warmUp(server, load, expect) {
  await saturate(server, { ...load, seconds: load.warmUpSeconds ?? WARM_UP_SECONDS });
  await checkAnswer(server, expect);
}

function gather(load, index, entries) {
  return {
    name: load.name,
    kind: load.kind,
    unit: load.unit ?? 'requests/s',
    metric: load.metric ?? 'rate',
    better: load.better ?? 'higher',
    alsoRatio: load.alsoRatio,
    entries: entries.map(({ contestant, failed, loads }) => ({
      label: contestant.label,
      own: contestant.own,
      failed,
      rounds: loads[index],
    })),
  };
}

const wanted = (contestant, only) =>
  only.length === 0 || only.some((name) => contestant.label.toLowerCase().includes(name.toLowerCase()));

/** Each round starts with another contestant: nobody is always first, or always after the same one. */
const rotate = (list, by) => list.map((_, index) => list[(index + by) % list.length]);
