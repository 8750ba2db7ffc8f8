/** Main thread. Whether anybody may ask what a process is at. */
import type { Settings } from '../settings/resolve.js';

/** True where there is an admin listener or a control socket. */
export function isWatched({ admin, controlSocket }: Pick<Settings, 'admin' | 'controlSocket'>): boolean {
  return admin.length > 0 || controlSocket !== null;
}
