import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writePidfile } from '../../../dist/src/server/pidfile.js';
import { replaceFile } from '../../../dist/src/server/replace-file.js';
import { makeFolder } from '../../support/command.js';

/** Reads a file again and again until its input ends, and prints what it met beside the two whole texts. */
const READER = `
  import { readFileSync } from 'node:fs';
  const met = new Set();
  let hasEnded = false;
  process.stdin.on('end', () => { hasEnded = true; }).resume();
  process.stdout.write('reading\\n');
  const read = () => {
    for (let count = 0; count < 500; count += 1) met.add(readFileSync(process.argv[1], 'utf8'));
    if (hasEnded) process.stdout.write(JSON.stringify([...met]));
    else setImmediate(read);
  };
  read();
`;

describe('the pidfile', () => {
  it('is met whole by whoever reads it while another process takes it over', async () => {
    const path = join(makeFolder({}), 'lido.pid');
    replaceFile(path, '11\n');
    const reader = spawn(process.execPath, ['--input-type=module', '-e', READER, path]);
    let met = '';
    reader.stdout.setEncoding('utf8').on('data', (text: string) => {
      met += text;
    });
    await once(reader.stdout, 'data');
    for (let count = 0; count < 1500; count += 1) replaceFile(path, count % 2 === 0 ? '22\n' : '11\n');
    reader.stdin.end();
    await once(reader, 'close');
    expect(JSON.parse(met.replace('reading\n', '')).sort()).toEqual(['11\n', '22\n']);
  });

  it('leaves nothing else beside it, and goes with its process', () => {
    const folder = makeFolder({});
    const remove = writePidfile(join(folder, 'lido.pid'));
    expect(readdirSync(folder)).toEqual(['lido.pid']);
    expect(readFileSync(join(folder, 'lido.pid'), 'utf8')).toBe(`${process.pid}\n`);
    remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says where it could not be written, and leaves nothing there', () => {
    const folder = makeFolder({});
    mkdirSync(join(folder, 'lido.pid'));
    writeFileSync(join(folder, 'lido.pid', 'kept'), '');
    expect(() => writePidfile(join(folder, 'lido.pid'))).toThrow(/lido\.pid/);
    expect(readdirSync(folder)).toEqual(['lido.pid']);
  });

  it('is written where a link leads, which stays one', () => {
    const folder = makeFolder({ 'run/lido.pid': '' });
    symlinkSync(join('run', 'lido.pid'), join(folder, 'lido.pid'));
    replaceFile(join(folder, 'lido.pid'), '11\n');
    expect(lstatSync(join(folder, 'lido.pid')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'run', 'lido.pid'), 'utf8')).toBe('11\n');
    expect(readdirSync(join(folder, 'run'))).toEqual(['lido.pid']);
  });

  it('takes the place of a file alone, and of no device or pipe', () => {
    const path = join(makeFolder({}), 'lido.pid');
    execFileSync('mkfifo', [path]);
    expect(() => replaceFile(path, '11\n')).toThrow('it is there, and no file');
    expect(lstatSync(path).isFIFO()).toBe(true);
  });
});
