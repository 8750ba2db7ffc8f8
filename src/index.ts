/** The public API. */
export { defineConfig } from './config.js';
export {
  createHandler,
  createServer,
  type EnvironAdditions,
  type Handler,
  type HandlerOptions,
  type ServerOptions,
} from './embed.js';
export { type ErrorCode, LidoError } from './errors.js';
export type { ApplicationStats } from './handler.js';
export type { Log } from './log.js';
export type { MountSettings, UserMounts, UserSettings } from './options.js';
export type { Server } from './server.js';
export type {
  Application,
  AsyncResult,
  Block,
  Environ,
  ErrorStream,
  ExcInfo,
  FileLike,
  FileWrapper,
  Header,
  Input,
  Result,
  StartResponse,
  Write,
} from './wsgi.js';
