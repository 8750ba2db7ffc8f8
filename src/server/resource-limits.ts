/** Main thread. What the system allows a process, as `ulimit` sets it. */
import { readFileSync } from 'node:fs';

/** By its name in /proc/PID/limits: "Max open files". null where there is no limit, or the system does not tell. proc(5) */
export function readResourceLimit(name: string, pid: number = process.pid): number | null {
  try {
    const found = new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/limits`, 'latin1'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}
