// The states of an exchange, and what each verb does in each of them.
import { describe, expect, it } from 'vitest';
import { LidoError } from '../../../dist/src/contract/errors.js';
import { Exchange, type ExchangeState } from '../../../dist/src/dispatch/exchange.js';

const holder = { giveUp: () => {}, busySince: 0, runsOne: true };
const mishap = new LidoError('LIDO_TIMED_OUT', [1]);

/** An exchange whose writer and body write down what they are told. */
function createExchange() {
  const told: string[] = [];
  const writer = {
    state: 'unstarted',
    connection: 'keep',
    abort: () => told.push('abort'),
    writeError: (error: LidoError) => told.push(`answer ${error.status}`),
  };
  const exchange = new Exchange({
    requestId: 'a-1',
    naming: { idOf: () => 'a-1', trustsTrace: () => false },
    log: { error: ({ code }: { code: string }) => told.push(`log ${code}`) } as never,
    request: { method: 'GET', target: '/', prefersHtml: false } as never,
    url: null,
    client: {} as never,
    writer: writer as never,
    debug: false,
    refusals: { tell: () => {} } as never,
    observer: null,
    substitute: null,
    webSockets: null,
  });
  exchange.body = { isWhole: true, close: () => told.push('close'), takeBack: () => {} } as never;
  return { exchange, writer, told };
}

const verbs: Record<string, (exchange: Exchange) => void> = {
  wait: (exchange) => exchange.wait(),
  send: (exchange) => exchange.send(holder, 7),
  recall: (exchange) => exchange.recall(),
  detach: (exchange) => exchange.detach(),
  drop: (exchange) => exchange.drop(),
  finish: (exchange) => exchange.finish(null),
};

/** The way to each state. */
const ways: Record<ExchangeState, readonly string[]> = {
  receiving: [],
  waiting: ['wait'],
  sent: ['send'],
  detached: ['send', 'detach'],
  over: ['finish'],
};

/** What each verb makes of each state; what is not here may not be. */
const transitions: Record<ExchangeState, Record<string, ExchangeState>> = {
  receiving: { wait: 'waiting', send: 'sent', drop: 'over', finish: 'over' },
  waiting: { send: 'sent', drop: 'over', finish: 'over' },
  sent: { recall: 'waiting', detach: 'detached', finish: 'over' },
  detached: { finish: 'over' },
  over: {},
};

describe.each(Object.keys(ways) as ExchangeState[])('an exchange that is %s', (state) => {
  it.each(Object.keys(verbs))('meets %s as the table says', (verb) => {
    const { exchange } = createExchange();
    for (const step of ways[state]) verbs[step]?.(exchange);
    expect(exchange.state).toBe(state);
    const next = transitions[state][verb];
    if (next === undefined) {
      expect(() => verbs[verb]?.(exchange)).toThrow(
        new RegExp(`^cannot \\w+ a request that is ${state}: expected one that is (not )?\\w+( or \\w+)?$`),
      );
      expect(exchange.state).toBe(state);
    } else {
      verbs[verb]?.(exchange);
      expect(exchange.state).toBe(next);
    }
  });
});

describe('an exchange', () => {
  it('knows who holds it while it is sent, and forgets it afterwards', () => {
    const { exchange } = createExchange();
    exchange.send(holder, 7);
    expect([exchange.holder, exchange.id]).toEqual([holder, 7]);
    exchange.recall();
    expect([exchange.holder, exchange.id]).toEqual([null, 0]);
    exchange.send(holder, 8);
    exchange.finish(null);
    expect([exchange.holder, exchange.id]).toEqual([null, 0]);
  });

  it('closes its body once nothing is done for it any more', () => {
    for (const end of ['detach', 'finish']) {
      const { exchange, told } = createExchange();
      exchange.send(holder, 7);
      verbs[end]?.(exchange);
      expect(told).toEqual(['close']);
    }
  });

  it('logs and answers an error while it can be answered, and ends the connection afterwards', () => {
    const early = createExchange();
    early.exchange.finish(mishap);
    expect(early.told).toEqual(['close', 'log LIDO_TIMED_OUT', 'answer 504']);
    const late = createExchange();
    late.writer.state = 'open';
    late.exchange.finish(mishap);
    expect(late.told).toEqual(['close', 'log LIDO_TIMED_OUT', 'abort']);
  });

  it('answers a refusal without a word in the log', () => {
    const { exchange, told } = createExchange();
    exchange.refuse(new LidoError('LIDO_BACKLOG_FULL'));
    expect(told).toEqual(['close', 'answer 503']);
  });

  it('ends the connection after an error where its body was not read', () => {
    const { exchange, writer } = createExchange();
    exchange.body = { isWhole: false, close: () => {}, takeBack: () => {} } as never;
    exchange.finish(mishap);
    expect(writer.connection).toBe('close');
  });
});
