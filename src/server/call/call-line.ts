/** Main thread. The words of `lido call`: the server's own options, and curl's for the request. */
import { type Command, Option } from 'commander';
import { LidoError } from '../../contract/errors.js';
import type { Source } from '../../settings/resolve.js';
import { createCommand, readFlags } from '../cli-command.js';
import type { CallFlags } from './call-command.js';

export interface CallLine {
  /** The config file that was named, or null. */
  readonly config: string | null;
  readonly flags: Source;
  readonly call: CallFlags;
}

const USAGE = 'call [options] [MODULE:CALLABLE] [METHOD] PATH';
const GROUP = 'Request:';

/** Reads what follows `lido call`. Throws LIDO_WRONG_CALL, or commander's CommanderError, for --help too. */
export function parseCallLine(argv: readonly string[]): CallLine {
  const command = createCallCommand().parse(argv, { from: 'user' });
  const { header, data, include, output, request, ...options } = command.opts<CallOptions>();
  const words = command.args.filter((word) => !word.startsWith('-'));
  // The value of an unknown option looks like a word: then the option is what is told of.
  const isKnown = words.length === command.args.length;
  const { application, method, target } = isKnown ? readWords(words) : NO_WORDS;
  const { config, flags } = readFlags(command, application === null ? options : { ...options, application });
  return {
    config,
    flags,
    call: {
      method: request ?? method,
      target,
      header: header ?? [],
      data: data ?? null,
      include: include === true,
      output: output ?? null,
    },
  };
}

type CallOptions = Record<string, unknown> & {
  header?: string[];
  data?: string;
  include?: boolean;
  output?: string;
  request?: string;
};

function createCallCommand(): Command {
  return createCommand()
    .usage(USAGE)
    .description('Lets the application answer one request, and prints the answer. Nothing listens.')
    .addOption(
      new Option('-H, --header <FIELD>', 'a header field, "Name: value"; repeatable')
        .helpGroup(GROUP)
        .argParser((field: string, list: string[] | undefined) => [...(list ?? []), field]),
    )
    .addOption(
      new Option('-d, --data <DATA>', 'the body: text, @FILE, or - for standard input').helpGroup(GROUP),
    )
    .addOption(
      new Option('-X, --request <METHOD>', 'the method; GET, or POST where there is a body').helpGroup(GROUP),
    )
    .addOption(new Option('-i, --include', 'print the head before the body').helpGroup(GROUP))
    .addOption(new Option('-o, --output <FILE>', 'write the body to a file').helpGroup(GROUP));
}

interface Words {
  readonly application: string | null;
  readonly method: string | null;
  readonly target: string;
}

const NO_WORDS: Words = { application: null, method: null, target: '/' };

function readWords(words: readonly string[]): Words {
  const place = words.findIndex((word) => word.startsWith('/') || /^https?:\/\//i.test(word));
  if (place < 0) throw refuseWords(words, 'no path is named: it begins with a slash');
  const before = words.slice(0, place);
  const method = isMethod(before.at(-1) ?? '') ? (before.pop() ?? null) : null;
  const [application = null, ...more] = before;
  if (place < words.length - 1 || more.length > 0)
    throw refuseWords(words, 'the words are MODULE:CALLABLE, METHOD and PATH, in this order');
  return { application, method, target: words[place] ?? '/' };
}

/** An application's name has a lower-case letter, a dot or a colon in it; a method hardly ever does. */
function isMethod(word: string): boolean {
  return /^[A-Z][A-Z-]*$/.test(word);
}

function refuseWords(words: readonly string[], why: string): LidoError {
  return new LidoError('LIDO_WRONG_CALL', [words.join(' ') || 'lido call', why]);
}
