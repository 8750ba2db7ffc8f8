/** Main thread. The lido command: its words, its settings, and what it is to do. Loaded by cli.ts. */
import { existsSync } from 'node:fs';
import { dirname, resolve as resolvePath } from 'node:path';
import { CommanderError } from 'commander';
import { servesPython } from './application/find.js';
import { EXIT_USAGE, LidoError } from './contract/errors.js';
import { createLog } from './log.js';
import { exitPastPython } from './python/host.js';
import type { CallFlags, Ended } from './server/call/call-command.js';
import { type Action, parseCommandLine } from './server/cli-command.js';
import { describeNodeRelease } from './server/node-release.js';
import type { Configuration } from './server/operated.js';
import { readPassedSockets } from './server/systemd.js';
import { findUnread } from './server/unread.js';
import { findAddress, findServer } from './server/whereabouts.js';
import { findConfig, loadConfig } from './settings/config-file.js';
import { loadEnvFiles } from './settings/env-file.js';
import { type HookSource, NO_HOOKS } from './settings/hooks.js';
import { type PlacedMistake, throwMistakes } from './settings/mistake.js';
import {
  type Resolved,
  readEnvironment,
  readPort,
  resolveSettings,
  type Source,
} from './settings/resolve.js';

/** What only one command needs is loaded for that one: to serve is what must begin soon, and stays for long. */
async function main([first = '', ...rest]: readonly string[]): Promise<void> {
  if (first === 'call') {
    const { parseCallLine } = await import('./server/call/call-line.js');
    const { config, flags, call: request } = parseCallLine(rest);
    await answerCall(await resolve(config, flags), request);
  } else if (first === 'stats' || first === 'stacks' || first === 'top') {
    await look(first, rest);
  } else if (first === 'profile') {
    const { parseProfileLine, writeProfile } = await import('./server/look/profile-command.js');
    const line = parseProfileLine(rest);
    await writeProfile(findAddress((await resolve(line.config, line.flags)).settings, line.flags), line);
  } else {
    const { action, config, flags } = parseCommandLine([first, ...rest].filter((word) => word !== ''));
    await perform(action, await resolve(config, flags), flags);
  }
}

async function look(command: 'stats' | 'stacks' | 'top', words: readonly string[]): Promise<void> {
  const { parseLookLine } = await import('./server/look/look-line.js');
  const { printStacks, printStats, showTop } = await import('./server/look/look-command.js');
  const { config, flags, json } = parseLookLine(command, words);
  const address = findAddress((await resolve(config, flags)).settings, flags);
  if (command === 'top') await showTop(address);
  else await (command === 'stats' ? printStats : printStacks)(address, json);
}

/** The settings of all sources, in the directory that they name. */
async function resolve(config: string | null, flags: Source): Promise<Prepared> {
  const environment = readEnvironment(process.env);
  const folder = chooseFolder([flags, environment], process.cwd());
  // Nothing can be looked for in a directory that is not there, so this mistake comes alone.
  throwMistakes(enterFolder(folder));
  const path = config ?? findConfig(process.cwd());
  const file = path === null ? null : await loadConfig(path);
  const port = readPort(process.env);
  const passed = readPassedSockets(process.env, process.pid);
  const sources = [flags, environment, ...(file === null ? [] : [file]), passed, port];
  const isFileAsked = folder === null && file !== null && path !== null;
  const own = isFileAsked ? chooseFolder([file], dirname(resolvePath(path))) : null;
  const absolute = path === null ? null : resolvePath(path);
  const resolved = resolveSettings(sources, enterFolder(own));
  for (const pair of resolved.settings.env) setVariable(pair);
  throwMistakes(loadEnvFiles(resolved.settings.envFile, resolved.origins.envFile));
  const readAgain = async () => {
    const fresh = absolute === null ? null : await loadConfig(absolute);
    const again = [flags, environment, ...(fresh === null ? [] : [fresh]), passed, port];
    const { settings, origins } = resolveSettings(again);
    for (const pair of settings.env) setVariable(pair);
    throwMistakes(loadEnvFiles(settings.envFile, origins.envFile));
    return { settings, hooks: fresh?.hooks ?? NO_HOOKS };
  };
  return { ...resolved, hooks: file?.hooks ?? NO_HOOKS, readAgain, configFile: absolute };
}

interface Prepared extends Resolved {
  readonly hooks: HookSource;
  /** The same command line and environment with the config file as it is now. Rejects with LIDO_WRONG_SETTING. */
  readonly readAgain: () => Promise<Configuration>;
  /** Its absolute path; null where there is none. */
  readonly configFile: string | null;
}

interface Folder {
  readonly path: string;
  /** Where it was asked for. */
  readonly place: string;
}

/** The first source's `chdir`, or null where there is none. */
function chooseFolder(sources: readonly Source[], base: string): Folder | null {
  const source = sources.find(({ values }) => typeof values.chdir === 'string');
  if (source === undefined) return null;
  return { path: resolvePath(base, String(source.values.chdir)), place: source.placeOf('chdir') };
}

/** Changes to a directory; gives the mistakes that this shows. */
function enterFolder(folder: Folder | null): PlacedMistake[] {
  if (folder === null) return [];
  try {
    process.chdir(folder.path);
    return [];
  } catch {
    return [{ place: folder.place, text: `no directory ${folder.path}` }];
  }
}

function setVariable(pair: string): void {
  const equals = pair.indexOf('=');
  process.env[pair.slice(0, equals)] = pair.slice(equals + 1);
}

async function perform(action: Action, resolved: Prepared, flags: Source): Promise<void> {
  if (action === 'config') {
    const { describeConfig } = await import('./server/print-config.js');
    process.stdout.write(await describeConfig(resolved));
    return;
  }
  const { settings } = resolved;
  const log = createLog(settings);
  const warnings = describeUnread(resolved);
  if (action === 'check') {
    for (const warning of warnings) log.warn(warning);
    const { createServer } = await import('./server/server.js');
    for (const { application, runtime } of await createServer(settings, { log }).check())
      process.stdout.write(`${application} is ready to be served by ${runtime}\n`);
    return;
  }
  if (action === 'reload') {
    const { askForReload } = await import('./server/control-socket.js');
    await askForReload(findServer(settings, flags));
    return;
  }
  if (action === 'cgi') {
    const { serveCgi } = await import('./server/call/call-command.js');
    await end(await serveCgi(settings, log));
    return;
  }
  const { serve } = await import('./server/serve.js');
  await serve(resolved, log, resolved.readAgain, resolved.configFile);
  const release = describeNodeRelease(process.versions.node);
  if (release !== null) warnings.push(release);
  for (const warning of warnings) log.warn(warning);
}

function describeUnread(resolved: Prepared): string[] {
  return findUnread(resolved, {
    environment: process.env,
    pid: process.pid,
    isConfigured: resolved.configFile !== null,
    servesPython: servesPython(resolved.settings),
    hasFile: existsSync,
  });
}

async function answerCall({ settings }: Resolved, request: CallFlags): Promise<void> {
  const { call } = await import('./server/call/call-command.js');
  await end(await call(settings, createLog(settings), request));
}

/** The exit status is the answer's. A worker that is stuck inside Python would keep the process. */
async function end({ exitStatus, isEnded }: Ended): Promise<void> {
  process.exitCode = exitStatus;
  if (!isEnded) await exitPastPython(exitStatus);
}

/** The application's own traceback first, then what Lido has to say; never a stack of Lido's own. */
function fail(error: unknown): never {
  if (error instanceof CommanderError) failUsage(error);
  if (!(error instanceof LidoError)) throw error;
  for (const each of [error, ...(error.others ?? [])]) printError(each);
  process.exit(error.exit ?? 1);
}

function printError({ traceback, code, message, remedy }: LidoError): void {
  if (traceback !== undefined) process.stderr.write(`${traceback.trimEnd()}\n`);
  process.stderr.write(`lido: ${code} ${message}\n  ${remedy}\n`);
}

function failUsage(error: CommanderError): never {
  // --help and --version end this way too.
  if (error.exitCode === 0) process.exit(0);
  printError(
    new LidoError('LIDO_WRONG_COMMAND', ['the command line', error.message.replace(/^error: /, '')]),
  );
  process.exit(EXIT_USAGE);
}

// Whoever reads the output may stop reading: `lido config | head`.
process.stdout.on('error', () => process.exit(0));
main(process.argv.slice(2)).catch(fail);
