// TLS spoken by the server itself, over real sockets, with certificates that OpenSSL has just made.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeFolder, type Running, runLido, startLido } from './support/command.js';
import { venv } from './support/server.js';

const SHOW = `def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    keys = sorted(key for key in environ if key.startswith('SSL_') or key == 'HTTPS')
    return ['\\n'.join('%s=%s' % (key, environ[key]) for key in [*keys, 'wsgi.url_scheme']).encode('latin-1')]
`;

/** An authority, certificates that it signed for these names, and one for a client. */
function makeSite(): string {
  const cwd = makeFolder({ 'show.py': SHOW });
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd, stdio: 'ignore' });
  const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...elliptic, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test CA');
  for (const name of ['one.test', 'two.test', 'renewed', 'ada']) {
    const host = name === 'renewed' ? 'one.test' : name;
    openssl(
      ...['req', '-x509', ...elliptic, '-CA', 'ca.pem', '-CAkey', 'ca.key'],
      ...['-keyout', `${name}.key`, '-out', `${name}.pem`],
      ...['-subj', `/O=Lido/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`],
    );
  }
  return cwd;
}

async function serve(cwd: string, words: readonly string[] = []): Promise<Running> {
  const pairs = ['one.test', 'two.test'].flatMap((name) => [
    '--certfile',
    `${name}.pem`,
    '--keyfile',
    `${name}.key`,
  ]);
  const started = startLido(['--bind', '127.0.0.1:0', ...pairs, ...words, '--python', venv, 'show.py'], {
    cwd,
  });
  await started.waitFor('https://127.0.0.1:');
  return { ...started, url: /https:\/\/127\.0\.0\.1:\d+/.exec(started.stderr())?.[0] ?? '' };
}

interface Seen {
  readonly serial: string;
  readonly names: string;
  readonly alpn: string | false | null;
  readonly text: string;
}

/** One request on a connection of its own; rejects where the handshake fails. */
function ask({ url }: Running, options: tls.ConnectionOptions = {}): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      port: Number(new URL(url).port),
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
      ...options,
    });
    onTestFinished(() => void socket.destroy());
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      const { serialNumber, subjectaltname = '' } = socket.getPeerCertificate();
      const alpn = socket.alpnProtocol;
      socket.on('end', () => resolve({ serial: serialNumber, names: subjectaltname, alpn, text }));
      socket.write('GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n');
    });
  });
}

describe('TLS', () => {
  it.each([
    ['one process', []],
    ['two processes', ['--processes', '2']],
    ['no supervisor', ['--no-supervise']],
  ])('is spoken by %s, with the certificate of the name that a client asks for', async (_name, words) => {
    const server = await serve(makeSite(), words);
    const one = await ask(server, { servername: 'one.test' });
    expect([one.names, one.alpn]).toEqual(['DNS:one.test', 'http/1.1']);
    expect(one.text).toMatch(
      /HTTPS=on\nSSL_CIPHER=\S+\nSSL_CLIENT_VERIFY=NONE\nSSL_PROTOCOL=TLSv1\.3\nwsgi\.url_scheme=https$/,
    );
    expect((await ask(server, { servername: 'two.test' })).names).toBe('DNS:two.test');
    expect((await ask(server, { servername: 'other.test' })).names).toBe('DNS:one.test');
    expect((await ask(server)).names).toBe('DNS:one.test');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('tells the application of a client that certReqs asked for its certificate, and refuses one without', async () => {
    const cwd = makeSite();
    const read = (name: string) => execFileSync('cat', [join(cwd, name)], { encoding: 'utf8' });
    const ada = { cert: read('ada.pem'), key: read('ada.key') };
    const required = await serve(cwd, ['--ca-certs', 'ca.pem', '--cert-reqs', 'required']);
    const { text } = await ask(required, ada);
    expect(text).toContain('SSL_CLIENT_VERIFY=SUCCESS\n');
    expect(text).toContain('SSL_CLIENT_S_DN=CN=ada,O=Lido\n');
    expect(text).toContain('SSL_CLIENT_I_DN=CN=Test CA\n');
    expect(text).toContain('SSL_CLIENT_CERT=-----BEGIN CERTIFICATE-----\n');
    await expect(ask(required)).rejects.toThrow();
    const optional = await serve(cwd, ['--ca-certs', 'ca.pem', '--cert-reqs', 'optional']);
    expect((await ask(optional)).text).toContain('SSL_CLIENT_VERIFY=NONE\n');
  });

  it('speaks no version before minTlsVersion, and no other ciphers', async () => {
    const cwd = makeSite();
    const server = await serve(cwd, ['--min-tls-version', 'TLSv1.3']);
    await expect(ask(server, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    const cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384';
    const choosy = await serve(cwd, ['--ciphers', cipher]);
    expect((await ask(choosy, { maxVersion: 'TLSv1.2' })).text).toContain(`SSL_CIPHER=${cipher}\n`);
  });

  it('lets go of clients that leave amid the handshake, and of those that stand there when the server ends', async () => {
    const patience = ['--header-timeout', '600', '--graceful-timeout', '600', '--no-supervise'];
    const server = await serve(makeSite(), patience);
    const port = Number(new URL(server.url).port);
    const leaving = connect(port, '127.0.0.1').resume();
    const silent = connect(port, '127.0.0.1').resume();
    onTestFinished(() => void silent.destroy());
    await Promise.all([once(leaving, 'connect'), once(silent, 'connect')]);
    leaving.end();
    await once(leaving, 'close');
    const half = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(half, 'secureConnect');
    half.end('GET / HTTP/1.1\r\nHost: one.test\r\n\r\n');
    const [answer] = (await once(half, 'data')) as [Buffer];
    expect(answer.toString()).toContain('200 OK');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('reads a renewed certificate without an end of what is served, and keeps the old one where the pair is wrong', async () => {
    const cwd = makeSite();
    const server = await serve(cwd);
    const before = await ask(server);
    copyFileSync(join(cwd, 'two.test.key'), join(cwd, 'one.test.key'));
    await server.waitFor(
      'the certificates that were served are served on: one.test.key is not the key of one.test.pem',
    );
    expect((await ask(server)).serial).toBe(before.serial);
    copyFileSync(join(cwd, 'renewed.key'), join(cwd, 'one.test.key'));
    copyFileSync(join(cwd, 'renewed.pem'), join(cwd, 'one.test.pem'));
    await server.waitFor('the certificates are read anew');
    expect((await ask(server)).serial).not.toBe(before.serial);
    expect((await ask(server, { servername: 'one.test' })).serial).not.toBe(before.serial);
  });

  it('serves on where a certificate cannot be looked at any more, and says which at the start', async () => {
    const cwd = makeSite();
    const server = await serve(cwd);
    const before = await ask(server);
    // What a folder without rights is to others, a link to itself is to root, too.
    rmSync(join(cwd, 'two.test.pem'));
    symlinkSync('two.test.pem', join(cwd, 'two.test.pem'));
    await server.waitFor('the certificates that were served are served on: two.test.pem cannot be read');
    expect((await ask(server)).serial).toBe(before.serial);
    const pair = ['--certfile', 'two.test.pem', '--keyfile', 'two.test.key'];
    const started = startLido(['--bind', '127.0.0.1:0', ...pair, '--python', venv, 'show.py'], { cwd });
    expect((await started.ended).stderr).toContain(
      'lido: LIDO_WRONG_CERTIFICATE two.test.pem cannot be read',
    );
  });

  it('reads a certificate anew that was renewed while the application was imported', async () => {
    const cwd = makeSite();
    const wait = `import os, sys, time
sys.stderr.write('importing\\n')
while not os.path.exists('renewed-by-now'):
    time.sleep(0.01)
`;
    writeFileSync(join(cwd, 'show.py'), wait + SHOW);
    const pair = ['--certfile', 'one.test.pem', '--keyfile', 'one.test.key'];
    const words = ['--bind', '127.0.0.1:0', ...pair, '--no-supervise', '--python', venv, 'show.py'];
    const started = startLido(words, { cwd });
    await started.waitFor('importing');
    copyFileSync(join(cwd, 'renewed.key'), join(cwd, 'one.test.key'));
    copyFileSync(join(cwd, 'renewed.pem'), join(cwd, 'one.test.pem'));
    writeFileSync(join(cwd, 'renewed-by-now'), '');
    await started.waitFor('https://127.0.0.1:');
    const url = /https:\/\/127\.0\.0\.1:\d+/.exec(started.stderr())?.[0] ?? '';
    const { serialNumber } = new X509Certificate(readFileSync(join(cwd, 'renewed.pem')));
    expect((await ask({ ...started, url })).serial).toBe(serialNumber);
  });

  it.each([
    ['two.test.key', 'two.test.key is not the key of one.test.pem'],
    ['none.key', 'none.key cannot be read: '],
    ['show.py', 'show.py is no private key in PEM: '],
  ])('with the key %s is refused at the start', async (key, message) => {
    const cwd = makeSite();
    const words = ['--bind', '127.0.0.1:0', '--certfile', 'one.test.pem', '--keyfile', key, 'show.py'];
    const { code, stderr } = await runLido([...words, '--python', venv], { cwd });
    expect([code, stderr]).toEqual([2, expect.stringContaining(`lido: LIDO_WRONG_CERTIFICATE ${message}`)]);
  });

  it('without a key for each certificate is refused at the start', async () => {
    const { code, stderr } = await runLido(['--certfile', 'one.pem', '--cert-reqs', 'required', 'show.py'], {
      cwd: makeFolder({ 'show.py': SHOW }),
    });
    expect(code).toBe(2);
    expect(stderr).toContain(
      'each certificate has a key of its own, and here are 1 in certfile and 0 in keyfile',
    );
    expect(stderr).toContain('certReqs needs certfile, and caCerts to check by');
  });
});
