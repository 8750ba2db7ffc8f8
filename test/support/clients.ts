// Clients that ask without a pause, on kept or on fresh connections, and count what gets no whole answer.
import { connect, type Socket } from 'node:net';

export interface Losses {
  /** Whole answers. */
  answered: number;
  /** Requests on an open connection that the server ended without a whole answer; each with what came instead. */
  readonly lost: string[];
  /** Connections that were not made. */
  refused: number;
}

export interface Clients extends Losses {
  /** Every body that came, by how often. */
  readonly bodies: Map<string, number>;
  /** Resolves once so many more requests are answered. */
  answerMore(count: number): Promise<void>;
  /** Resolves once each client has been refused or has ended what it asked. */
  stop(): Promise<void>;
}

export interface ClientOptions {
  readonly port: number;
  readonly count: number;
  readonly isKept: boolean;
  readonly path?: string;
}

/** How long a client that was refused waits: others need the processor to come up. Milliseconds. */
const REFUSED_PAUSE_MS = 5;

/** Starts clients. A connection that the server said it would close is not used again, as RFC 9112 has it. */
export function startClients({ port, count, isKept, path = '/' }: ClientOptions): Clients {
  const fields = isKept ? '' : 'Connection: close\r\n';
  const request = `GET ${path} HTTP/1.1\r\nHost: lido.test\r\n${fields}\r\n`;
  let over = false;
  const waiters = new Set<() => void>();
  const clients: Clients = {
    answered: 0,
    lost: [],
    refused: 0,
    bodies: new Map(),
    answerMore: (more) => {
      const goal = clients.answered + more;
      return new Promise((resolve) => {
        const look = () => {
          if (clients.answered < goal && !over) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      });
    },
    stop: async () => {
      over = true;
      await ended;
    },
  };

  function count200(body: string): void {
    clients.answered += 1;
    clients.bodies.set(body, (clients.bodies.get(body) ?? 0) + 1);
    for (const waiter of waiters) waiter();
  }

  async function ask(): Promise<void> {
    let connection: Connection | null = null;
    while (!over) {
      if (connection === null) {
        connection = await open(port);
        if (connection === null) {
          clients.refused += 1;
          await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
          continue;
        }
      }
      const answer = await connection.ask(request);
      if (answer.isWhole && answer.status === 200) count200(answer.body);
      else clients.lost.push(answer.text);
      if (answer.isWhole && !answer.closes) continue;
      connection.socket.destroy();
      connection = null;
    }
    connection?.socket.destroy();
  }

  const ended = Promise.all(Array.from({ length: count }, ask));
  return clients;
}

interface Answer {
  readonly isWhole: boolean;
  readonly status: number;
  readonly body: string;
  readonly closes: boolean;
  /** All that came, or the error. */
  readonly text: string;
}

interface Connection {
  readonly socket: Socket;
  ask(request: string): Promise<Answer>;
}

/** Null where the connection was not made. */
function open(port: number): Promise<Connection | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.on('error', () => resolve(null));
    socket.once('connect', () => resolve({ socket, ask: (request) => exchange(socket, request) }));
  });
}

function exchange(socket: Socket, request: string): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    const settle = (failure: string | null) => {
      socket.off('data', read).off('end', end).off('close', end).off('error', fail);
      resolve({
        ...parse(text),
        ...(failure === null ? {} : { isWhole: false, text: `${failure} ${text}` }),
      });
    };
    const read = (part: string) => {
      text += part;
      if (parse(text).isWhole) settle(null);
    };
    const end = () => settle('ended');
    const fail = (error: Error) => settle(error.message);
    socket.on('data', read).on('end', end).on('close', end).on('error', fail);
    socket.write(request);
  });
}

/** Answers whose length is declared: the applications here give one block. */
function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? '' : text.slice(0, end);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
  const body = text.slice(end + 4);
  return {
    isWhole: end >= 0 && body.length === length,
    status: Number(head.slice(9, 12)),
    body,
    closes: /connection: close/i.test(head),
    text,
  };
}
