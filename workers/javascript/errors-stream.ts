// Worker thread. wsgi.errors for JavaScript applications.
import type { ErrorStream } from '../../src/contract/wsgi.js';
import type { Sender } from '../sender.js';
import { type CapturedOutput, ERROR } from './output.js';

/** Text written by the application, sent to the log line by line, beside the request. PEP 3333, "Input and Error Streams". */
export class LogErrorStream implements ErrorStream {
  readonly #sender: Sender;
  readonly #output: CapturedOutput | null;
  #partial = '';

  constructor(sender: Sender, output: CapturedOutput | null) {
    this.#sender = sender;
    this.#output = output;
  }

  write(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#log(line);
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) this.write(line);
  }

  /** Sends a line that has no end yet, as the gateway also does when the request is over. */
  flush(): void {
    if (this.#partial === '') return;
    this.#log(this.#partial);
    this.#partial = '';
  }

  #log(line: string): void {
    if (this.#output === null) this.#sender.log('error', line);
    else this.#output.log('wsgi.errors', ERROR, line);
  }
}
