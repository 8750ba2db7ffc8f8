/** What an application returns, and how the server goes through it. */
import type { Block, ErrorStream } from '../../src/contract/wsgi.js';
import { breach, type ProtocolError } from './breach.js';
import type { CheckedResponse } from './checked-response.js';

export type { Block };

type Body<Iterated> = Iterated & { close(): void };
type Closable = { close?(): unknown };

/** A body that is forgotten unclosed has nobody left to throw at: its request's log is told. */
const forgotten = new FinalizationRegistry((errors: ErrorStream) => {
  errors.write(`${wrong('never closed the body', 'call close() once, after errors too').message}\n`);
});

/** The body, checked: the server iterates over it once, and closes it once. */
export function checkBody(
  body: Iterable<Block> & Closable,
  response: CheckedResponse,
  errors: ErrorStream,
): Body<Iterable<Block>> {
  const use = new Use(body, response);
  return use.watch(errors, {
    *[Symbol.iterator]() {
      use.begin();
      for (const block of body) {
        use.check();
        yield response.checkBlock(block);
        use.check();
      }
      response.checkEnd();
    },
    close: () => use.close(),
  });
}

/** As checkBody(), for the asynchronous iterables that Lido takes beyond PEP 3333. */
export function checkAsyncBody(
  body: AsyncIterable<Block> & Closable,
  response: CheckedResponse,
  errors: ErrorStream,
): Body<AsyncIterable<Block>> {
  const use = new Use(body, response);
  return use.watch(errors, {
    async *[Symbol.asyncIterator]() {
      use.begin();
      for await (const block of body) {
        use.check();
        yield response.checkBlock(block);
        use.check();
      }
      response.checkEnd();
    },
    close: () => use.close(),
  });
}

/** How the server uses one body. */
class Use {
  readonly #body: Closable;
  readonly #response: CheckedResponse;
  #isBegun = false;

  constructor(body: Closable, response: CheckedResponse) {
    this.#body = body;
    this.#response = response;
  }

  /** Has it told if the body is forgotten before it is closed. */
  watch<Checked extends object>(errors: ErrorStream, checked: Checked): Checked {
    forgotten.register(checked, errors, this);
    return checked;
  }

  begin(): void {
    if (this.#isBegun)
      throw wrong('went through the body a second time', 'keep the blocks that are needed twice');
    this.#isBegun = true;
    this.check();
  }

  check(): void {
    if (this.#response.isOver) throw wrong('asked for a block after close()', 'close the body at the end');
  }

  close(): unknown {
    if (this.#response.isOver) throw wrong('called close() a second time', 'call it once');
    this.#response.isOver = true;
    forgotten.unregister(this);
    return this.#body.close?.();
  }
}

function wrong(deed: string, instead: string): ProtocolError {
  return breach('server', 'Specification Details', deed, instead);
}
