/** Main thread. Which settings each mount holds to. Pure. */
import type { Settings } from './table.js';

/** The settings of each mount: its own, and the server's for those that it leaves out. A single application is mounted at '/'. */
export function expandMounts(settings: Settings): readonly (readonly [path: string, settings: Settings])[] {
  if (settings.mounts === null) return [['/', settings]];
  return Object.entries(settings.mounts).map(([path, own]) => [path, { ...settings, mounts: null, ...own }]);
}
