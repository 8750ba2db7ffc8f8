// Links within the documentation lead to files, and to headings, that are there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './support/server.js';

const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

function read(document: string): string {
  // What a block of code shows is no link of the document's.
  return readFileSync(join(root, document), 'utf8').replaceAll(/^```.*?^```/gms, '');
}

/** "## What is `done`" is found as "what-is-done", as GitHub has it. */
function listHeadings(document: string): string[] {
  return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it.each(documents)('%s links to what is there', (document) => {
  const links = [...read(document).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
  const broken = links.filter(([, path = '', heading]) => {
    const target = path === '' ? document : join(dirname(document), path);
    if (!existsSync(join(root, target))) return true;
    return heading !== undefined && target.endsWith('.md') && !listHeadings(target).includes(heading);
  });
  expect(broken.map(([link]) => link)).toEqual([]);
});
