#!/usr/bin/env node
/** Main thread. The lido command. */
import { Command, CommanderError, Option } from 'commander';
import { findConfig, loadConfig } from './config.js';
import { EXIT_USAGE, LidoError } from './errors.js';
import { createLog } from './log.js';
import { type Resolved, readEnvironment, resolveSettings, type Source, suggest } from './options.js';
import { createServer } from './server.js';
import {
  flagOf,
  type Setting,
  type SettingName,
  type Settings,
  settingNames,
  settings,
  variableOf,
} from './settings.js';
import { endAtOnce, stopOnSignals } from './signals.js';
import { VERSION } from './version.js';

type Action = 'serve' | 'check' | 'config';

const ACTIONS: Readonly<Record<string, Action>> = { check: 'check', config: 'config' };

function createCommand(): Command {
  const command = new Command('lido')
    .description('Serves a WSGI (PEP 3333) application, JavaScript or Python, from a pool of worker threads.')
    .argument('[words...]', 'MODULE:CALLABLE, for example hello.js:application or shop.wsgi:application')
    .usage(
      '[options] MODULE:CALLABLE\n       lido check [options] [MODULE:CALLABLE]    load everything, serve nothing\n       lido config [options] [MODULE:CALLABLE]   print the settings and where each came from',
    )
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .configureOutput({ writeErr: () => {} })
    .showSuggestionAfterError(false)
    .exitOverride();
  command.addOption(
    new Option(
      '-c, --config <FILE>',
      'read this config file instead of lido.config.{ts,mts,js,mjs,json,toml}',
    ),
  );
  for (const name of settingNames) if (name !== 'application') command.addOption(createOption(name));
  return command;
}

function createOption(name: SettingName): Option {
  const setting: Setting = settings[name];
  const repeats = setting.type === 'strings' || setting.type === 'pairs';
  const value = setting.type === 'boolean' ? '' : ` <${setting.value ?? setting.choices?.join('|')}>`;
  const option = new Option(
    `${flagOf(name)}${value}`,
    `${setting.text}${describeDefault(setting)} [${variableOf(name)}]`,
  ).helpGroup(`${setting.group}:`);
  return repeats
    ? option.argParser((item: string, list: string[] | undefined) => [...(list ?? []), item])
    : option;
}

function describeDefault(setting: Setting): string {
  const { default: value } = setting;
  if (value === null || value === false || (Array.isArray(value) && value.length === 0)) return '';
  return ` (default: ${Array.isArray(value) ? value.join(', ') : value})`;
}

async function main(argv: readonly string[]): Promise<void> {
  const command = createCommand().parse(argv);
  const { action, application } = readWords(command.args);
  const { config, ...flags } = command.opts<Record<string, unknown>>();
  const flagSource: Source = {
    origin: 'flag',
    place: 'the command line',
    values: application === null ? flags : { ...flags, application },
  };
  const environment = readEnvironment(process.env);
  enterFolder(resolveSettings([flagSource, environment]).settings);
  const file = typeof config === 'string' ? config : findConfig(process.cwd());
  const fileSources = file === null ? [] : [await loadConfig(file)];
  const resolved = resolveSettings([flagSource, environment, ...fileSources]);
  if (fileSources.length > 0) enterFolder(resolved.settings);
  for (const pair of resolved.settings.env)
    process.env[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
  await act(action, resolved);
}

function readWords(words: readonly string[]): { action: Action; application: string | null } {
  const action = ACTIONS[words[0] ?? ''];
  const rest = action === undefined ? words : words.slice(1);
  if (rest.length > 1)
    throw new LidoError('LIDO_102', [rest.slice(1).join(' '), 'one application is served, named once']);
  return { action: action ?? 'serve', application: rest[0] ?? null };
}

/** Before anything is looked for. */
function enterFolder({ chdir }: Settings): void {
  if (chdir === null) return;
  try {
    process.chdir(chdir);
  } catch (error) {
    throw new LidoError('LIDO_102', ['--chdir', `no directory ${chdir}`], { cause: error });
  }
}

async function act(action: Action, resolved: Resolved): Promise<void> {
  if (action === 'config') {
    printConfig(resolved);
    return;
  }
  const log = createLog(resolved.settings);
  const server = createServer(resolved.settings, { log });
  if (action === 'check') {
    const runtime = await server.check();
    process.stdout.write(`${resolved.settings.application} is ready to be served by ${runtime}\n`);
    return;
  }
  stopOnSignals(async (signal) => {
    log.info(`${signal}: finishing what runs`);
    await server.close();
  });
  await server.listen();
  log.info(server.describe());
}

function printConfig({ settings: values, origins }: Resolved): void {
  const width = Math.max(...settingNames.map((name) => name.length));
  for (const name of settingNames) {
    process.stdout.write(`${name.padEnd(width)}  ${JSON.stringify(values[name])}  (${origins[name]})\n`);
  }
}

function fail(error: unknown): never {
  if (error instanceof CommanderError) failUsage(error);
  if (!(error instanceof LidoError)) throw error;
  if (error.traceback !== undefined) process.stderr.write(`${error.traceback.trimEnd()}\n`);
  process.stderr.write(`lido: ${error.code} ${error.message}\n      ${error.remedy}\n`);
  endAtOnce(error.exit ?? 1);
}

function failUsage(error: CommanderError): never {
  // --help and --version end this way too.
  if (error.exitCode === 0) process.exit(0);
  const flag = /unknown option '([^'=]+)/.exec(error.message)?.[1];
  const message = error.message.replace(/^error: /, '');
  const hint =
    flag === undefined
      ? ''
      : suggest(flag).replace(
          /did you mean (\w+)\?/,
          (_, name: SettingName) => `did you mean ${flagOf(name)}?`,
        );
  process.stderr.write(`lido: ${message}${hint}\n      lido --help lists every option with what it takes\n`);
  process.exit(EXIT_USAGE);
}

// Whoever reads the output may stop reading: `lido config | head`.
process.stdout.on('error', () => process.exit(0));
main(process.argv).catch(fail);
