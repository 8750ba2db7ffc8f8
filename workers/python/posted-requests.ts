// Worker thread. Requests for which the ring had no room, until Python comes to them.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { OFFER, type PostedRequest, slotOf, slotWord, type ToWorker } from '../../src/contract/protocol.js';

export class PostedRequests {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #requests = new Map<number, PostedRequest>();

  constructor(port: MessagePort, control: Int32Array) {
    this.#port = port;
    this.#control = control;
  }

  /** How many are here. */
  get size(): number {
    return this.#requests.size;
  }

  /** The one that Python has claimed. It was posted before the ring told of it. */
  take(id: number): PostedRequest {
    this.receive();
    const request = this.#requests.get(id) as PostedRequest;
    this.#requests.delete(id);
    return request;
  }

  /** Takes in what was posted, and drops what was recalled since: Python passes that over, and asks for none of it. */
  receive(): void {
    let received = receiveMessageOnPort(this.#port);
    while (received !== undefined) {
      const message = received.message as ToWorker;
      if (message[0] === 'request') this.#requests.set(message[1], message);
      received = receiveMessageOnPort(this.#port);
    }
    for (const id of this.#requests.keys()) if (!this.#isOffered(id)) this.#requests.delete(id);
  }

  /** The word is negative while the main thread recalls what may have been claimed. */
  #isOffered(id: number): boolean {
    return Math.abs(Atomics.load(this.#control, slotWord(slotOf(id), OFFER))) === id;
  }
}
