/** The public API. */

export type { ApplicationStats } from './application/application-stats.js';
export { type ErrorCode, LidoError } from './contract/errors.js';
export type {
  Application,
  AsyncResult,
  Block,
  EarlyHints,
  Environ,
  ErrorStream,
  ExcInfo,
  FileLike,
  FileWrapper,
  Header,
  Input,
  LifespanHook,
  Result,
  StartResponse,
  Write,
} from './contract/wsgi.js';
export type { Log } from './log.js';
export {
  createHandler,
  createServer,
  type EnvironAdditions,
  type Handler,
  type HandlerOptions,
  type Server,
  type ServerOptions,
} from './server/embed.js';
export { defineConfig } from './settings/config-file.js';
export type { EndedRequest, HookedWorker, Hooks } from './settings/hooks.js';
export type { MountSettings, UserMounts, UserSettings } from './settings/resolve.js';
