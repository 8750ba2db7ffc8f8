import { expect, it } from 'vitest';
import { describeNodeRelease } from '../../../dist/src/server/node-release.js';

it.each([
  ['20.20.2', 'no security fixes since April 2026'],
  ['23.11.0', 'no security fixes since June 2025'],
  ['22.20.0', 'known security holes: use 22.23.2 or later'],
  ['22.23.1', 'known security holes'],
  ['24.18.0', 'known security holes: use 24.18.1 or later'],
])('Node.js %s is warned of: %s', (version, text) => {
  expect(describeNodeRelease(version)).toContain(text);
});

it.each(['22.23.2', '22.24.0', '24.18.1', '24.19.0', '26.0.0'])('Node.js %s is not', (version) => {
  expect(describeNodeRelease(version)).toBe(null);
});
