/** Main thread. The lido command's words and options, derived from the table of settings. */
import { Command, Option } from 'commander';
import { LidoError } from '../contract/errors.js';
import { nearest } from '../settings/nearest.js';
import type { Source } from '../settings/resolve.js';
import {
  flagOf,
  isList,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from '../settings/table.js';
import { VERSION } from '../version.js';

const ACTIONS = ['check', 'config', 'cgi', 'reload'] as const;

export type Action = 'serve' | (typeof ACTIONS)[number];

export interface CommandLine {
  readonly action: Action;
  /** The config file that was named, or null. */
  readonly config: string | null;
  readonly flags: Source;
}

const USAGE = `[options] MODULE:CALLABLE
       lido [options]                            with a config file that names the application
       lido check [options] [MODULE:CALLABLE]    check the settings, import the application, serve nothing
       lido config [options] [MODULE:CALLABLE]   print the settings and where each came from
       lido reload [options]                     let a running server read its settings and application anew
       lido call [options] [MODULE:CALLABLE] PATH  answer one request and print it; lido call --help has more
       lido stats [options]                      print what a running server does; --json prints everything
       lido top [options]                        show it live
       lido stacks [options]                     print where each of its workers stands this moment
       lido profile [options]                    profile one of them for some seconds, into a file
       lido cgi [options] [MODULE:CALLABLE]      answer the request of a web server's CGI`;

/** Reads the command line. Throws LIDO_WRONG_COMMAND or commander's CommanderError, the latter for --help and --version too. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const command = createCommand().parse(argv[0] === 'help' ? ['--help'] : argv, { from: 'user' });
  const words = command.args.filter((word) => !word.startsWith('-'));
  const { action, rest } = readAction(words);
  const [application, ...more] = rest;
  const values = command.opts<Record<string, unknown>>();
  // The value of an unknown option looks like a word, so words are what they seem only where there is none.
  if (words.length === command.args.length) {
    if (more.length > 0) throw describeExtra(words, more);
    if (application !== undefined) values.application = application;
  }
  return { action, ...readFlags(command, values) };
}

/** `lido serve app.py` is `lido app.py`; and an application may be called serve. */
function readAction(words: readonly string[]): { action: Action; rest: readonly string[] } {
  const [first, ...rest] = words;
  const action = ACTIONS.find((name) => name === first);
  if (action !== undefined) return { action, rest };
  return { action: 'serve', rest: first === 'serve' && rest.length > 0 ? rest : words };
}

/** The parsed options as a source of settings; those that nobody knows are left for it to name. */
export function readFlags(
  command: Command,
  { config = null, ...values }: Record<string, unknown>,
): Pick<CommandLine, 'config' | 'flags'> {
  for (const option of command.args.filter((word) => word.startsWith('-') && word !== '-'))
    values[option.replace(/=.*/s, '')] = true;
  return { config: config as string | null, flags: { origin: 'flag', values, placeOf: placeFlag } };
}

function describeExtra([first = '']: readonly string[], more: readonly string[]): LidoError {
  if (first === 'run' || first === 'start')
    return new LidoError('LIDO_WRONG_COMMAND', [first, `unknown command; lido ${more[0]} serves it`]);
  const near = nearest(first, [...ACTIONS, 'call', 'stats', 'top', 'stacks', 'profile']);
  if (near !== null && near !== first)
    return new LidoError('LIDO_WRONG_COMMAND', [first, `unknown command; did you mean ${near}?`]);
  return new LidoError('LIDO_WRONG_COMMAND', [more.join(' '), 'one application is served, named once']);
}

function placeFlag(key: string): string {
  if (key === 'application') return 'the command line';
  return Object.hasOwn(settings, key) ? flagOf(key as SettingName) : key;
}

export function createCommand(): Command {
  const command = new Command('lido')
    .description('Serves a WSGI (PEP 3333) application, JavaScript or Python, from a pool of worker threads.')
    .argument('[MODULE:CALLABLE]', describe(settings.application, 'application'))
    .usage(USAGE)
    .version(VERSION, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureOutput({ writeErr: () => {} })
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride();
  command.option(
    '-c, --config <FILE>',
    'read this config file instead of lido.config.{ts,mts,js,mjs,json,toml}',
  );
  for (const name of settingNames) {
    if (name === 'application') continue;
    for (const option of createOptions(name)) command.addOption(option);
  }
  return command;
}

/** A switch gets its opposite, so that the command line can undo what the file says. */
function createOptions(name: SettingName): Option[] {
  const setting: Setting = settings[name];
  const flag = flagOf(name);
  const group = `${setting.group}:`;
  if (setting.type === 'boolean') {
    return [
      new Option(flag, describe(setting, name)).helpGroup(group),
      new Option(flag.replace('--', '--no-'), `not ${flag}`).hideHelp(),
    ];
  }
  const option = new Option(
    `${flag} <${setting.value ?? setting.choices?.join('|')}>`,
    describe(setting, name),
  ).helpGroup(group);
  return [
    isList(setting)
      ? option.argParser((item: string, list: string[] | undefined) => [...(list ?? []), item])
      : option,
  ];
}

function describe(setting: Setting, name: SettingName): string {
  const choices = setting.value === undefined ? undefined : setting.choices;
  const listed = choices === undefined ? '' : `: ${choices.join(', ')}`;
  return `${setting.text}${listed}${describeDefault(setting)} [${variableOf(name)}]`;
}

function describeDefault({ default: value }: Setting): string {
  if (value === null || value === false || (Array.isArray(value) && value.length === 0)) return '';
  return ` (default: ${Array.isArray(value) ? value.join(', ') : value})`;
}
