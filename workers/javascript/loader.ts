// Worker thread. MODULE:CALLABLE ► a JavaScript application.
import { pathToFileURL } from 'node:url';
import { describe, LidoError, leadsOutOfNode, traceOf } from '../../src/contract/errors.js';
import type { ApplicationSpec } from '../../src/contract/protocol.js';
import type { Application, LifespanHook } from '../../src/contract/wsgi.js';
import { Lifespan } from './lifespan.js';
import { nameType } from './response.js';

type JavaScriptSpec = Extract<ApplicationSpec, { runtime: 'javascript' }>;

/** Used when MODULE comes without a callable, in this order. */
const DEFAULT_NAMES = ['application', 'app'];

/** What a module has for Lido. */
export interface LoadedApplication {
  readonly application: Application;
  readonly lifespan: Lifespan;
}

/** Imports the module and finds its callable, calling it first where it is a factory. Throws a LidoError of the catalogue's second group. */
export async function loadApplication(spec: JavaScriptSpec): Promise<LoadedApplication> {
  const exported = await importModule(spec);
  const lifespan = new Lifespan(findHook(exported, 'startup', spec), findHook(exported, 'shutdown', spec));
  const { path, factoryArguments } = parseCallable(spec.callable);
  const target = path === null ? findDefault(exported, spec) : lookUp(exported, path, spec);
  const application = factoryArguments === null ? target : await callFactory(target, factoryArguments, spec);
  if (typeof application !== 'function') {
    throw new LidoError('LIDO_NOT_CALLABLE', [spec.spec, nameType(application)]);
  }
  return { application: application as Application, lifespan };
}

function findHook(
  exported: Record<string, unknown>,
  name: string,
  spec: JavaScriptSpec,
): LifespanHook | null {
  const found = scopesOf(exported).find((scope) => scope[name] !== undefined)?.[name] ?? null;
  if (found === null || typeof found === 'function') return found as LifespanHook | null;
  throw new LidoError('LIDO_HOOK_NOT_CALLABLE', [spec.file, name, nameType(found)]);
}

async function importModule(spec: JavaScriptSpec): Promise<Record<string, unknown>> {
  try {
    if (/\.[cm]?ts$/.test(spec.file)) return await importTypeScript(spec.file);
    return (await import(pathToFileURL(spec.file).href)) as Record<string, unknown>;
  } catch (error) {
    const code = isMistakenForCommonJs(error, spec.file) ? 'LIDO_TAKEN_FOR_COMMONJS' : 'LIDO_IMPORT_FAILED';
    const traceback = isWithoutPlace(error) ? await placeUnparsed(error, spec.file) : traceOf(error);
    throw new LidoError(code, [spec.file, `Node.js ${process.versions.node}`], { cause: error, traceback });
  }
}

/** ES modules: above the stack of a CommonJS one Node writes where it is, and TypeScript's compiler does, too. */
function isWithoutPlace(error: unknown): error is SyntaxError {
  return (
    error instanceof SyntaxError && error.stack?.startsWith(error.name) === true && !leadsOutOfNode(error)
  );
}

/** Without the stack, which leads through Node alone. */
async function placeUnparsed(error: SyntaxError, file: string): Promise<string> {
  const { findUnparsed } = await import('./unparsed.js');
  return `${await findUnparsed(pathToFileURL(file).href)}${describe(error)}`;
}

/** An ES module in a .js file, where the nearest package.json says "type": "commonjs". */
function isMistakenForCommonJs(error: unknown, file: string): boolean {
  if (!(error instanceof SyntaxError) || !file.endsWith('.js')) return false;
  return /Unexpected token 'export'|Cannot use import statement outside a module/.test(error.message);
}

/** Node strips types only from 22.18 on, and refuses enums and the like: jiti compiles them on every version. */
async function importTypeScript(file: string): Promise<Record<string, unknown>> {
  const { createJiti } = await import('jiti');
  return (await createJiti(import.meta.url, { interopDefault: false }).import(file)) as Record<
    string,
    unknown
  >;
}

/** `app`, `site.app`, `create_app()` or `create_app("production", true)`: literals in JSON's notation. */
function parseCallable(callable: string | null): { path: string | null; factoryArguments: unknown[] | null } {
  const factory = callable?.match(/^([^()]+)\((.*)\)$/s);
  if (!factory) return { path: callable, factoryArguments: null };
  const [, path = '', list = ''] = factory;
  try {
    return { path, factoryArguments: JSON.parse(`[${list.replaceAll("'", '"')}]`) as unknown[] };
  } catch {
    throw new LidoError('LIDO_MALFORMED_CALLABLE', [callable ?? '']);
  }
}

function findDefault(exported: Record<string, unknown>, spec: JavaScriptSpec): unknown {
  for (const scope of scopesOf(exported)) {
    for (const name of DEFAULT_NAMES) if (scope[name] !== undefined) return scope[name];
  }
  if (typeof exported.default === 'function') return exported.default;
  throw missing(exported, spec, DEFAULT_NAMES.join(' or '));
}

function lookUp(exported: Record<string, unknown>, path: string, spec: JavaScriptSpec): unknown {
  for (const scope of scopesOf(exported)) {
    const found = path
      .split('.')
      .reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], scope);
    if (found !== undefined) return found;
  }
  throw missing(exported, spec, path);
}

/** The named exports, then the default one's properties: a CommonJS module's exports may be only there. */
function scopesOf(exported: Record<string, unknown>): Record<string, unknown>[] {
  const fallback = exported.default;
  const isObject = (typeof fallback === 'object' || typeof fallback === 'function') && fallback !== null;
  return isObject ? [exported, fallback as Record<string, unknown>] : [exported];
}

function missing(exported: Record<string, unknown>, spec: JavaScriptSpec, name: string): LidoError {
  const names = new Set(scopesOf(exported).flatMap((scope) => Object.keys(scope)));
  return new LidoError('LIDO_CALLABLE_NOT_FOUND', [spec.file, name, [...names].join(', ') || 'nothing']);
}

async function callFactory(
  factory: unknown,
  factoryArguments: unknown[],
  spec: JavaScriptSpec,
): Promise<unknown> {
  if (typeof factory !== 'function') throw new LidoError('LIDO_NOT_CALLABLE', [spec.spec, nameType(factory)]);
  try {
    return await factory(...factoryArguments);
  } catch (error) {
    throw new LidoError('LIDO_FACTORY_FAILED', [spec.spec], { cause: error, traceback: traceOf(error) });
  }
}
