/** wsgi.input and wsgi.errors: what the application asks of them, and what the server gives. */
import type { ErrorStream, Input } from '../../src/contract/wsgi.js';
import { breach } from './breach.js';
import type { CheckedResponse } from './checked-response.js';

const SECTION = 'Input and Error Streams';

export class CheckedInput implements Input {
  readonly #input: Input;
  readonly #response: CheckedResponse;

  constructor(input: Input, response: CheckedResponse) {
    this.#input = input;
    this.#response = response;
  }

  read(...sizes: number[]): Buffer {
    this.#check('read', sizes);
    const bytes = checkBytes('read', this.#input.read(...sizes));
    const [size = -1] = sizes;
    if (size >= 0 && bytes.length > size)
      throw breach(
        'server',
        SECTION,
        `gave ${bytes.length} bytes to read(${size})`,
        'give no more than that',
      );
    return bytes;
  }

  readline(...sizes: number[]): Buffer {
    this.#check('readline', sizes);
    return checkBytes('readline', this.#input.readline(...sizes));
  }

  readlines(...hints: number[]): Buffer[] {
    this.#check('readlines', hints);
    const lines: unknown = this.#input.readlines(...hints);
    if (!Array.isArray(lines)) throw breach('server', SECTION, 'gave no array from readlines()', 'give one');
    return lines.map((line) => checkBytes('readlines', line));
  }

  *[Symbol.iterator](): Generator<Buffer> {
    this.#check('iterate', []);
    for (const line of this.#input) yield checkBytes('iterate', line);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    this.#check('iterate', []);
    for await (const chunk of this.#input) yield checkBytes('iterate', chunk);
  }

  #check(method: string, args: readonly unknown[]): void {
    if (this.#response.isOver)
      throw breach('application', SECTION, 'used wsgi.input after its request', 'read before the body ends');
    const [size] = args;
    if (args.length > 1 || (size !== undefined && !Number.isInteger(size)))
      throw breach(
        'application',
        SECTION,
        `called ${method}(${args.join(', ')}) of wsgi.input`,
        'pass one integer, or nothing',
      );
  }
}

export class CheckedErrors implements ErrorStream {
  readonly #errors: ErrorStream;

  constructor(errors: ErrorStream) {
    this.#errors = errors;
  }

  write(text: string): void {
    if (typeof text !== 'string')
      throw breach('application', SECTION, `wrote ${String(text)} to wsgi.errors`, 'write a string');
    this.#errors.write(text);
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) this.write(line);
  }

  flush(): void {
    this.#errors.flush();
  }
}

function checkBytes(method: string, value: unknown): Buffer {
  if (value instanceof Uint8Array) return value as Buffer;
  throw breach('server', SECTION, `gave ${String(value)} from ${method} of wsgi.input`, 'give bytes');
}
