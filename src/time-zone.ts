/** Main thread. The time zone of the log's lines: one for the life of the process. */

let zone: string | null = null;

/**
 * "Europe/Berlin". What it was when this was first called: an application may change the process's TZ, as Django does, and lines
 * of one log must stay comparable. Finding it takes some milliseconds.
 */
export function rememberTimeZone(): string {
  zone ??= Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone;
}
