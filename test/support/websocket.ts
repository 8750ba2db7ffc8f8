// A client of WebSockets that keeps what it hears, so that nothing is lost between two waits.
import type { IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';

export interface WebSocketClient {
  readonly socket: WebSocket;
  /** Resolves with the head of the answer once it is open; rejects with the answer where it is refused. */
  readonly opened: Promise<IncomingMessage>;
  readonly closed: Promise<readonly [code: number, reason: string]>;
  readonly messages: (string | Buffer)[];
  /** Resolves with all messages once there are so many. */
  hear(count: number): Promise<readonly (string | Buffer)[]>;
}

/** An answer that is no WebSocket. */
export class Refused extends Error {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;

  constructor({ statusCode = 0, headers }: IncomingMessage, body: string) {
    super(`${statusCode}: ${body}`);
    this.status = statusCode;
    this.headers = headers;
    this.body = body;
  }
}

export function openWebSocket(
  url: string,
  options: ClientOptions & { readonly protocols?: string[] } = {},
): WebSocketClient {
  const { protocols = [], ...rest } = options;
  const socket = new WebSocket(url, protocols, rest);
  onTestFinished(() => socket.terminate());
  const messages: (string | Buffer)[] = [];
  const waiters = new Set<() => void>();
  socket.on('message', (data, isBinary) => {
    messages.push(isBinary ? (data as Buffer) : data.toString());
    for (const waiter of waiters) waiter();
  });
  const opened = new Promise<IncomingMessage>((resolve, reject) => {
    socket.once('upgrade', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => {
        reject(new Refused(response, body));
        request.destroy();
      });
    });
  });
  opened.catch(() => {});
  socket.on('error', () => {});
  const closed = new Promise<readonly [number, string]>((resolve) => {
    socket.once('close', (code, reason) => resolve([code, reason.toString()]));
  });
  const hear = (count: number) =>
    new Promise<readonly (string | Buffer)[]>((resolve) => {
      const look = () => {
        if (messages.length < count) return;
        waiters.delete(look);
        resolve(messages);
      };
      waiters.add(look);
      look();
    });
  return { socket, opened, closed, messages, hear };
}

/** How a WebSocket is refused. Rejects where it is not. */
export async function refusalOf(client: WebSocketClient): Promise<Refused> {
  const error = await client.opened.then(
    () => new Error('it was accepted'),
    (reason: Error) => reason,
  );
  if (error instanceof Refused) return error;
  throw error;
}
