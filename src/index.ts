/** The public API. */
export { defineConfig } from './config.js';
export { LidoError } from './errors.js';
export type { UserSettings } from './options.js';
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
