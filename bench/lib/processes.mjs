/** CPU time and memory of a process and all its descendants, from /proc. Linux only; zeros elsewhere. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PAGE_BYTES = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

/** The ids of a process and its descendants. */
export function listTree(root) {
  const children = new Map();
  for (const [pid, { parent }] of readAll()) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const tree = [];
  for (const queue = [root]; queue.length > 0; ) {
    const pid = queue.pop();
    tree.push(pid);
    queue.push(...(children.get(pid) ?? []));
  }
  return tree;
}

/** User and system seconds that the tree has used so far. */
export function readCpuSeconds(root) {
  const all = readAll();
  return listTree(root).reduce((sum, pid) => sum + (all.get(pid)?.ticks ?? 0), 0) / TICKS_PER_SECOND;
}

/** Resident bytes of the tree. Pages that processes share are counted in each of them. */
export function readRss(root) {
  return listTree(root).reduce(
    (sum, pid) => sum + Number(read(pid, 'statm').split(' ')[1] ?? 0) * PAGE_BYTES,
    0,
  );
}

/** Proportional bytes of the tree: a page that n processes share counts 1/n in each. */
export function readPss(root) {
  const kilobytes = (pid) => Number(/^Pss:\s+(\d+)/m.exec(read(pid, 'smaps_rollup'))?.[1] ?? 0);
  return listTree(root).reduce((sum, pid) => sum + kilobytes(pid) * 1024, 0);
}

/** How often threads of the tree have waited for something so far: each time they were woken. */
export function countSwitches(root) {
  const count = (pid, task) =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(pid, `task/${task}/status`))?.[1] ?? 0);
  const tasks = listTree(root).flatMap((pid) => listTasks(pid).map((task) => count(pid, task)));
  return tasks.reduce((sum, one) => sum + one, 0);
}

/** Samples the tree's resident bytes until stopped; gives the peak. */
export function watchRss(root, everyMs = 200) {
  let peak = readRss(root);
  const timer = setInterval(() => {
    peak = Math.max(peak, readRss(root));
  }, everyMs);
  return () => {
    clearInterval(timer);
    return Math.max(peak, readRss(root));
  };
}

/** Parent and used ticks of every process. */
function readAll() {
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // The command's name may hold spaces and parentheses: what follows the last one is fields 3 and on.
    const fields = read(name, 'stat')
      .replace(/^.*\) /s, '')
      .split(' ');
    if (fields.length > 13)
      all.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
  }
  return all;
}

function listTasks(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
