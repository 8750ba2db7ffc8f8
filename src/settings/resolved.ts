/** Main thread. Settings put together from all sources. Types only. */
import type { SettingName, Settings } from './table.js';

export interface Resolved {
  readonly settings: Settings;
  /** Where each value came from: "default", or a source's place. */
  readonly origins: Readonly<Record<SettingName, string>>;
}
