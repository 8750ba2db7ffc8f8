/** Main thread. Which settings each mount holds to. Pure. */
import type { Settings } from './table.js';

/** What each mount holds to: its own settings, and the server's where it has none. One application is at the root. */
export function expandMounts(settings: Settings): readonly (readonly [path: string, settings: Settings])[] {
  if (settings.mounts === null) return [['/', settings]];
  return Object.entries(settings.mounts).map(([path, own]) => [path, { ...settings, mounts: null, ...own }]);
}
