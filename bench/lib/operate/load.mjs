/** Clients that ask without a pause while something is done to a server, and count what gets no whole answer. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

/** A client that was refused waits: others need the processor to come up. Milliseconds. */
const REFUSED_PAUSE_MS = 5;
/** What is not answered by then is lost. Milliseconds. */
const ANSWER_LIMIT_MS = 30_000;

/**
 * Starts `kept` clients that stay on their connection until its server says that it closes it, and `fresh` ones with a
 * connection for each request. `lost`: requests on an open connection without a whole 200; `refused`: connections not made.
 */
export class Load {
  kept = { answered: 0, lost: [], refused: 0 };
  fresh = { answered: 0, lost: [], refused: 0 };
  /** performance.now() of the last answer, by what answered: a process's id. */
  seen = new Map();
  #options;
  #over = false;
  #ended;

  constructor({ port, kept = 8, fresh = 8, method = 'GET', secure = false }) {
    this.#options = { port, method, secure };
    this.#ended = Promise.all([
      ...Array.from({ length: kept }, () => this.#ask(this.kept, true)),
      ...Array.from({ length: fresh }, () => this.#ask(this.fresh, false)),
    ]);
  }

  get answered() {
    return this.kept.answered + this.fresh.answered;
  }

  async answerMore(count, limitMs = 60_000) {
    const [goal, end] = [this.answered + count, performance.now() + limitMs];
    while (this.answered < goal && performance.now() < end) await sleep(5);
    if (this.answered < goal) throw new Error(`${count} more requests were not answered in ${limitMs} ms`);
  }

  /** Resolves when for 300 ms others have answered alone. */
  async untilReplaced(old, limitMs = 20_000) {
    const end = performance.now() + limitMs;
    while (performance.now() < end) {
      await sleep(20);
      const recent = [...this.seen].filter(([, at]) => performance.now() - at < 300).map(([pid]) => pid);
      if (recent.length > 0 && recent.every((pid) => !old.has(pid))) return;
    }
    throw new Error(`the old processes still answer after ${limitMs} ms`);
  }

  async stop() {
    this.#over = true;
    await this.#ended;
  }

  async #ask(count, isKept) {
    const { port, method, secure } = this.#options;
    const fields = isKept ? '' : 'Connection: close\r\n';
    const body = method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n';
    const request = `${method} / HTTP/1.1\r\nHost: lido.test\r\n${fields}${body}`;
    let socket = null;
    while (!this.#over) {
      socket ??= await open(port, secure);
      if (socket === null) {
        count.refused += 1;
        await sleep(REFUSED_PAUSE_MS);
        continue;
      }
      const answer = await exchange(socket, request);
      if (answer.isWhole && answer.status === 200) {
        count.answered += 1;
        this.seen.set(Number(answer.body), performance.now());
      } else count.lost.push(answer.text.slice(0, 200));
      if (isKept && answer.isWhole && !answer.closes) continue;
      socket.destroy();
      socket = null;
    }
    socket?.destroy();
  }
}

/** Null where the connection was not made. */
function open(port, secure) {
  return new Promise((resolve) => {
    const where = { port, host: '127.0.0.1', noDelay: true };
    const socket = secure ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
    socket.setEncoding('latin1');
    socket.on('error', () => resolve(null));
    socket.once(secure ? 'secureConnect' : 'connect', () => resolve(socket));
  });
}

function exchange(socket, request) {
  return new Promise((resolve) => {
    let text = '';
    const settle = (failure) => {
      clearTimeout(limit);
      socket.off('data', read).off('end', end).off('close', end).off('error', fail);
      resolve(failure === null ? parse(text) : { isWhole: false, text: `${failure} ${text}` });
    };
    const read = (part) => {
      text += part;
      if (parse(text).isWhole) settle(null);
    };
    const end = () => settle('ended');
    const fail = (error) => settle(error.message);
    const limit = setTimeout(() => settle('no answer'), ANSWER_LIMIT_MS);
    socket.on('data', read).on('end', end).on('close', end).on('error', fail);
    socket.write(request);
  });
}

function parse(text) {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? '' : text.slice(0, end);
  const body = text.slice(end + 4);
  return {
    isWhole: end >= 0 && body.length === Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN),
    status: Number(head.slice(9, 12)),
    body,
    closes: /connection: close/i.test(head),
    text,
  };
}
