/** Main thread. The words of `lido stats`, `lido top` and `lido stacks`: where to ask is a setting, as for the server that is asked. */
import { type Command, Option } from 'commander';
import { LidoError } from '../../contract/errors.js';
import type { Source } from '../../settings/resolve.js';
import { createCommand, readFlags } from '../cli-command.js';

export const LOOKS = ['stats', 'top', 'stacks'] as const;

export type Look = (typeof LOOKS)[number];

export interface LookLine {
  /** The config file that was named, or null. */
  readonly config: string | null;
  readonly flags: Source;
  readonly json: boolean;
}

/** Reads what follows such a word. Throws LIDO_WRONG_COMMAND, or commander's CommanderError, for --help too. */
export function parseLookLine(look: Look, argv: readonly string[]): LookLine {
  const command = createLookCommand(look).parse(argv, { from: 'user' });
  const { json, ...options } = command.opts<Record<string, unknown>>();
  const [word] = command.args.filter((each) => !each.startsWith('-'));
  if (word !== undefined)
    throw new LidoError('LIDO_WRONG_COMMAND', [
      word,
      `${look} takes no words: it asks the server at --control-socket, --admin or --pidfile`,
    ]);
  return { ...readFlags(command, options), json: json === true };
}

const DESCRIPTIONS: Readonly<Record<Look, string>> = {
  stats: 'Prints what a running server does now.',
  top: 'Shows live what a running server does. Keys: s sorts, p pauses, q quits.',
  stacks: 'Prints where every worker of a running server stands at this moment, with its request.',
};

function createLookCommand(look: Look): Command {
  const command = createCommand().usage(`${look} [--control-socket PATH | --admin ADDRESS | --pidfile PATH]`);
  if (look === 'top') return command.description(DESCRIPTIONS.top);
  return command
    .description(DESCRIPTIONS[look])
    .addOption(new Option('--json', 'everything, as JSON').helpGroup('Output:'));
}
