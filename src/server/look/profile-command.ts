/** Main thread. `lido profile`: a profile of a running server's worker, into a file. */
import { writeFileSync } from 'node:fs';
import { Option } from 'commander';
import { describe, LidoError } from '../../contract/errors.js';
import type { Source } from '../../settings/resolve.js';
import { createCommand, readFlags } from '../cli-command.js';
import { askFile } from './ask.js';

export interface ProfileLine {
  /** The config file that was named, or null. */
  readonly config: string | null;
  readonly flags: Source;
  /** What the server is asked, as the admin listener's path takes it. */
  readonly query: URLSearchParams;
  /** Null for the name that the server gives it, in the working directory. */
  readonly output: string | null;
}

const ASKED = ['seconds', 'process', 'worker', 'mount'] as const;

/** Reads what follows `lido profile`. Throws LIDO_WRONG_COMMAND, or commander's CommanderError, for --help too. */
export function parseProfileLine(argv: readonly string[]): ProfileLine {
  const command = createCommand()
    .usage('profile [--control-socket PATH | --admin ADDRESS | --pidfile PATH] [options]')
    .description(
      'Profiles a worker of a running server, and writes a file for speedscope.app; for JavaScript, for the developer tools of Chrome too.',
    );
  const add = (flags: string, text: string) =>
    command.addOption(new Option(flags, text).helpGroup('Profile:'));
  add('--seconds <SECONDS>', 'how long: 10 unless it is said, 120 at most');
  add(
    '--worker <NUMBER>',
    'which worker, as lido top numbers them; else the busiest, or all that share a Python',
  );
  add('--process <NUMBER>', 'of which process; else the busiest');
  add('--mount <PATH>', 'of which application, where there are several');
  add('--output <FILE>', 'the file; else it is named by the process and the time');
  const { output, ...options } = command.parse(argv, { from: 'user' }).opts<Record<string, unknown>>();
  const [word] = command.args.filter((each) => !each.startsWith('-'));
  if (word !== undefined) throw new LidoError('LIDO_WRONG_COMMAND', [word, 'profile takes no words']);
  const query = new URLSearchParams();
  for (const name of ASKED) {
    if (options[name] !== undefined) query.set(name, String(options[name]));
    delete options[name];
  }
  return { ...readFlags(command, options), query, output: output === undefined ? null : String(output) };
}

/** Waits for the profile, and writes it. Rejects with LIDO_NOT_REACHED, LIDO_NOT_PROFILED or LIDO_FILE_NOT_WRITTEN. */
export async function writeProfile(where: string, { query, output }: ProfileLine): Promise<void> {
  const { name, content } = await askFile(where, `/profile?${query}`);
  const path = output ?? name;
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new LidoError('LIDO_FILE_NOT_WRITTEN', [path, describe(error)], { cause: error });
  }
  process.stdout.write(`${path}: open it at https://www.speedscope.app, which keeps it in the browser\n`);
}
