/** Main thread. An event loop in a Python worker, in which many requests run at once: whether it turns, and who is to leave it. */
import type { LidoError } from '../contract/errors.js';
import { CANCEL, CLOSE } from '../contract/ring.js';
import type { Exchange } from './exchange.js';
import type { Inbox } from './inbox.js';
import type { Slots } from './slots.js';

/** How long the task of a stream that is ended may take to notice, before it is cancelled. Milliseconds. */
const STREAM_GRACE_MS = 1000;

export class Loop {
  readonly #inbox: Inbox;
  readonly #slots: Slots;
  /** When it was last known to turn. performance.now(). */
  #turnedAt = 0;

  constructor(inbox: Inbox, slots: Slots) {
    this.#inbox = inbox;
    this.#slots = slots;
  }

  /**
   * Asks it for a sign. Returns for how long it has not answered the last one, in milliseconds: it is held up by code that does
   * not give way. To be called again and again.
   */
  look(now: number): number {
    if (this.#inbox.ask()) this.#turnedAt = now;
    return now - this.#turnedAt;
  }

  /** Nothing runs there, so nothing needs to be known. */
  rest(now: number): void {
    this.#turnedAt = now;
  }

  /** The number of the sign that it owes, for whoever interrupts it: it may have gone on meanwhile. */
  get sign(): number {
    return this.#inbox.asked;
  }

  /** Whether it has given the sign of this number. */
  hasTurned(sign: number): boolean {
    return this.#inbox.heard !== ((sign - 1) | 0);
  }

  /** It stood still, and no request is to blame for the time that this took. */
  forgetSigns(): void {
    for (const slot of this.#slots.listTaken()) slot.lastSign = 0;
  }

  /**
   * Cancels each request that has given no sign for longer than `limitMs`, and answers for it; and again after as long, should
   * it have gone on. One that has begun to answer may be silent for as long as its client stays.
   */
  cancelOverdue(now: number, limitMs: number, verdict: LidoError): void {
    for (const slot of this.#slots.listTaken()) {
      const exchange = slot.exchange as Exchange;
      const waits = exchange.isSent && (slot.answer !== 'awaited' || exchange.body.isFlowing);
      if (!slot.isClaimed) slot.lastSign = 0;
      else if (slot.lastSign === 0 || waits) slot.lastSign = now;
      else if (now - slot.lastSign >= limitMs) {
        slot.lastSign = now;
        this.#inbox.put(CANCEL, slot.id);
        if (!exchange.isSent) continue;
        exchange.detach();
        exchange.fail(verdict);
      }
    }
  }

  /**
   * Ends the streams of events, which have no end of their own; whoever listens to one asks anew, and somebody else. The task of
   * one whose client is gone may not have noticed, for it has had nothing to send.
   */
  endStreams(): void {
    for (const slot of this.#slots.listTaken()) {
      const exchange = slot.exchange as Exchange;
      if (slot.answer !== 'open' || !isEventStream(exchange)) continue;
      const { id } = slot;
      if (exchange.isSent) {
        exchange.detach();
        exchange.writer.end();
        slot.stop();
      }
      setTimeout(() => {
        if (slot.id === id) this.#inbox.put(CANCEL, id);
      }, STREAM_GRACE_MS).unref();
    }
  }

  /** Lets it cancel what runs and end the application, within so long, and then leave. */
  close(limitMs: number): void {
    this.#inbox.put(CLOSE, 0, String(limitMs / 1000));
  }
}

function isEventStream({ writer }: Exchange): boolean {
  return writer.field('content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
}
