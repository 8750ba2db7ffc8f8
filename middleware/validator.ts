/** `lido/validator`: holds an application and its server to PEP 3333, in the spirit of Python's wsgiref.validate. */
import type {
  Application,
  AsyncResult,
  Environ,
  ErrorStream,
  Result,
  StartResponse,
} from '../src/contract/wsgi.js';
import { type Block, checkAsyncBody, checkBody } from './validator/body.js';
import { breach, describe, ProtocolError } from './validator/breach.js';
import { CheckedResponse } from './validator/checked-response.js';
import { checkEnviron } from './validator/environ.js';
import { CheckedErrors, CheckedInput } from './validator/streams.js';

export { ProtocolError };

/**
 * Wraps an application. What it and its server do is passed on as it is, until one of them breaks a rule: that one's
 * call throws a ProtocolError, which names the rule, who broke it, and what to do instead.
 *
 * It goes between any two: around middleware it checks that as an application, around the innermost application it
 * checks the middleware as a server. What an application returns is wrapped as well, so that a body of one block loses the
 * Content-Length that a server may give it, and a file is sent by blocks.
 */
export function validator(application: Application): Application {
  if (typeof application !== 'function') {
    throw new TypeError(`validator() takes an application, a function; it was given ${String(application)}`);
  }
  return (...call: unknown[]) => {
    const [environ, startResponse] = checkCall(call);
    checkEnviron(environ);
    const response = new CheckedResponse(startResponse, environ.REQUEST_METHOD);
    const errors = new CheckedErrors(environ['wsgi.errors']);
    const input = new CheckedInput(environ['wsgi.input'], response);
    const checked = { ...environ, 'wsgi.input': input, 'wsgi.errors': errors };
    return checkResult(application(checked, response.start), response, errors);
  };
}

function checkCall(call: unknown[]): [Environ, StartResponse] {
  const [environ, startResponse] = call;
  if (call.length !== 2)
    throw breach(
      'server',
      'The Application/Framework Side',
      `called the application with ${call.length} arguments`,
      'pass environ and startResponse',
    );
  if (typeof environ !== 'object' || environ === null)
    throw breach('server', 'environ Variables', `passed ${String(environ)} for environ`, 'pass an object');
  if (typeof startResponse !== 'function')
    throw breach(
      'server',
      'The start_response() Callable',
      `passed ${String(startResponse)} for startResponse`,
      'pass a function',
    );
  return [environ as Environ, startResponse as StartResponse];
}

function checkResult(result: unknown, response: CheckedResponse, errors: ErrorStream): Result | AsyncResult {
  const thenable = result as PromiseLike<unknown> | null | undefined;
  if (typeof thenable?.then === 'function') {
    return Promise.resolve(thenable).then((value) => checkResult(value, response, errors));
  }
  const isBytes = typeof result === 'string' || result instanceof Uint8Array;
  if (isBytes)
    throw breach(
      'application',
      'Specification Details',
      'returned a body in place of an iterable of blocks',
      'put it into an array: [body]',
    );
  const body = result as Partial<Iterable<Block> & AsyncIterable<Block>> | null | undefined;
  if (typeof body?.[Symbol.asyncIterator] === 'function') {
    return checkAsyncBody(body as AsyncIterable<Block>, response, errors);
  }
  if (typeof body?.[Symbol.iterator] === 'function')
    return checkBody(body as Iterable<Block>, response, errors);
  throw breach(
    'application',
    'Specification Details',
    `returned ${describe(result)}, which cannot be iterated`,
    'return an array of blocks, or a generator',
  );
}
