/** Main thread. `lido config`: every setting as it will hold, with where it came from or why it is so. */
import { resolveApplication } from '../application/find.js';
import { chooseConcurrency, chooseThreads, isAsgi } from '../application/threads.js';
import { LidoError } from '../contract/errors.js';
import type { Resolved } from '../settings/resolve.js';
import { type SettingName, settingNames, settings as table } from '../settings/table.js';

/** A value in place of null, and the reason for it. */
interface Found {
  readonly value: unknown;
  readonly why: string;
}

/** Lines of three columns: the setting, its value as JSON, and in brackets where it came from. */
export async function describeConfig({ settings, origins }: Resolved): Promise<string> {
  const found = await findOut(settings);
  const width = Math.max(...settingNames.map((name) => name.length));
  const lines = settingNames.map((name) => {
    const { value, why } = (settings[name] === null ? found[name] : undefined) ?? {
      value: settings[name],
      why: origins[name] === 'default' ? `default: ${table[name].why}` : origins[name],
    };
    return `${name.padEnd(width)}  ${JSON.stringify(value)}  (${why})\n`;
  });
  return lines.join('');
}

/** What is left open until the start: it goes by the application that is found. */
async function findOut(settings: Resolved['settings']): Promise<Partial<Record<SettingName, Found>>> {
  if (settings.application === null) return {};
  try {
    const application = await resolveApplication(settings);
    const { count, most, why } = chooseThreads(settings, application);
    const isBuffered = {
      value: isAsgi(application) !== true,
      why: 'default: what speaks WSGI waits for nobody',
    };
    const found = {
      threads: { value: count === most ? count : `${count} to ${most}`, why: `default: ${why}` },
      concurrency: { value: chooseConcurrency(settings, application), why: 'default: as many as can begin' },
      requestBuffering: isBuffered,
      responseBuffering: isBuffered,
    };
    if (application.runtime === 'javascript') return found;
    const { executable, version } = application.python;
    const python = { value: executable, why: `default: found for Python ${version}` };
    return { ...(isAsgi(application) === null ? addAsgi(found) : found), python };
  } catch (error) {
    if (!(error instanceof LidoError)) throw error;
    const unknown = { value: null, why: `found out at start: now ${error.message}` };
    return { threads: unknown, python: unknown };
  }
}

/** Only when it is loaded does an application show what it speaks. */
function addAsgi(forWsgi: Readonly<Record<string, Found>>): Record<string, Found> {
  const entries = Object.entries(forWsgi).map(([name, { value, why }]) => {
    const other = name === 'concurrency' ? 1000 : name === 'threads' ? 1 : false;
    return [name, { value, why: `${why}; ${other} where it turns out to speak ASGI` }] as const;
  });
  return Object.fromEntries(entries);
}
