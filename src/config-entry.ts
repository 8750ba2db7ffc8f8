/** What a config file has of `import ... from 'lido'`: all of the package would be loaded a second time for one function of it. */

export { LidoError } from './contract/errors.js';
export { defineConfig } from './settings/config-file.js';
