// Names of header fields that a client makes up: workers remember those that come again, and keep nothing of long ones.
import { execFileSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { EnvironDecoder } from '../dist/workers/javascript/environ.js';
import { IMPORT_GATEWAY } from '../dist/workers/python/gateway-code.js';
import { venv } from './support/server.js';

/** Prints the name's value, and how many lists of names are remembered, of a short one and a long one. */
function run(...lines: string[]): string {
  const code = [IMPORT_GATEWAY, ...lines].join('\n');
  return execFileSync(`${venv}/bin/python`, ['-c', code], { encoding: 'utf8' }).trim();
}

it('are forgotten by a Python worker', () => {
  const shown = run(
    "worker = part('.gateway').Worker({}, True, False, False)",
    "for name in ('HTTP_' + 'A' * length for length in (10, 8000)):",
    "    environ = worker.build_environ('PATH_INFO\\0' + name + '\\0\\0/\\0value')",
    '    print(environ[name], environ["PATH_INFO"], len(worker.known))',
  );
  expect(shown).toBe('value / 1\nvalue / 1');
});

it('are forgotten by a loop for ASGI', () => {
  const shown = run(
    "builder, fixed = part('.asgi.scope').ScopeBuilder({}), part('.wire').FIXED_KEYS",
    "for name in (b'HTTP_' + b'A' * length for length in (10, 8000)):",
    "    keys, values = [key.encode() for key in fixed] + [name], [b''] * len(fixed) + [b'value']",
    "    scope = builder.build(b'\\0'.join(keys) + b'\\0\\0' + b'\\0'.join(values))",
    "    print(scope['headers'][0][1], len(builder.names))",
  );
  expect(shown).toBe("b'value' 1\nb'value' 1");
});

it('are forgotten by a JavaScript worker', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const constants = {} as ConstructorParameters<typeof EnvironDecoder>[0];
  const decoder = new EnvironDecoder(constants);
  collect();
  const before = process.memoryUsage().heapUsed;
  let right = 0;
  for (let count = 0; count < 200; count += 1) {
    const name = `HTTP_${count}${'A'.repeat(100_000)}`;
    const wire = Buffer.from(`PATH_INFO\0${name}\0\0/\0value`).toString('latin1');
    // Not by expect(), which keeps names itself.
    if ((decoder.decode(wire) as unknown as Record<string, unknown>)[name] === 'value') right += 1;
  }
  collect();
  expect(right).toBe(200);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
});
