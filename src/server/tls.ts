/** Main thread. TLS for the sockets of a listener: certificates read, chosen by the name that is asked for, and read again. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import tls, { type SecureContext, type SecureContextOptions } from 'node:tls';
import { describe, LidoError } from '../contract/errors.js';
import { SOCKET_OPTIONS } from '../http/wire/listener.js';
import type { Log } from '../log.js';
import type { Settings } from '../settings/resolve.js';

/** How often the files are looked at. Milliseconds. */
const CHECK_MS = 1000;

interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certificate: X509Certificate;
  readonly context: SecureContext;
}

export class Certificates {
  readonly #settings: Settings;
  readonly #log: Log;
  #identities: readonly Identity[];
  #seen: string;
  readonly #servers = new Set<tls.Server>();
  #timer: NodeJS.Timeout | null = null;

  /** Reads the files. Throws LIDO_WRONG_CERTIFICATE, which names the file. */
  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#seen = this.#look();
    this.#identities = readIdentities(settings);
  }

  /**
   * Makes a server for sockets that are given to it. The files are read again whenever they have changed, until close(); a
   * wrong pair is logged then, and the old one stays.
   */
  createServer(): tls.Server {
    // An import may have taken long since they were read.
    this.#readIfChanged();
    this.#timer ??= setInterval(() => this.#readIfChanged(), CHECK_MS).unref();
    const server = tls.createServer({ ...SOCKET_OPTIONS, ...this.#describeServer() });
    // A handshake that fails is the client's affair; the socket is closed.
    server.on('tlsClientError', () => {});
    this.#servers.add(server);
    return server;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #describeServer(): tls.TlsOptions {
    const { certReqs, headerTimeout } = this.#settings;
    return {
      ...this.#describeDefault(),
      ALPNProtocols: ['http/1.1'],
      ...(headerTimeout > 0 ? { handshakeTimeout: headerTimeout * 1000 } : {}),
      requestCert: certReqs !== 'none',
      rejectUnauthorized: certReqs === 'required',
      SNICallback: (name, choose) => choose(null, this.#choose(name)),
    };
  }

  /** For clients that ask for no name. */
  #describeDefault(): SecureContextOptions {
    const [first] = this.#identities as [Identity];
    return { ...describeProtocol(this.#settings), cert: first.cert, key: first.key };
  }

  /** The first certificate is for whoever asks for no name, or one that none is for. */
  #choose(name: string): SecureContext {
    const [first] = this.#identities as [Identity];
    const found = this.#identities.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (found ?? first).context;
  }

  #readIfChanged(): void {
    const seen = this.#look();
    if (seen === this.#seen) return;
    this.#seen = seen;
    try {
      this.#identities = readIdentities(this.#settings);
      for (const server of this.#servers) server.setSecureContext(this.#describeDefault());
      this.#log.info('the certificates are read anew');
    } catch (error) {
      const { code, message } = error as LidoError;
      this.#log.error({ code }, `the certificates that were served are served on: ${message}`);
    }
  }

  /** Changes when one of the files does. */
  #look(): string {
    const { certfile, keyfile, caCerts } = this.#settings;
    return [...certfile, ...keyfile, ...(caCerts === null ? [] : [caCerts])].map(describeState).join();
  }
}

/** Where it cannot be looked at, why: whoever reads it is told that as well. */
function describeState(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return describe(error);
  }
}

function readIdentities(settings: Settings): Identity[] {
  return settings.certfile.map((certfile, index) =>
    readIdentity(settings, certfile, settings.keyfile[index] ?? ''),
  );
}

function readIdentity(settings: Settings, certfile: string, keyfile: string): Identity {
  const [cert, key] = [readPem(certfile), readPem(keyfile)];
  const certificate = attempt(certfile, 'is no certificate in PEM', () => new X509Certificate(cert));
  const privateKey = attempt(keyfile, 'is no private key in PEM', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey))
    throw new LidoError('LIDO_WRONG_CERTIFICATE', [keyfile, `is not the key of ${certfile}`]);
  const context = attempt(certfile, 'cannot be used', () =>
    tls.createSecureContext({ ...describeProtocol(settings), cert, key }),
  );
  return { cert, key, certificate, context };
}

function describeProtocol({ caCerts, ciphers, minTlsVersion }: Settings): SecureContextOptions {
  return {
    minVersion: minTlsVersion,
    honorCipherOrder: true,
    ...(caCerts === null ? {} : { ca: readPem(caCerts) }),
    ...(ciphers === null ? {} : { ciphers }),
  };
}

function readPem(path: string): Buffer {
  return attempt(path, 'cannot be read', () => readFileSync(path));
}

function attempt<T>(path: string, what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new LidoError('LIDO_WRONG_CERTIFICATE', [path, `${what}: ${describe(error)}`], { cause: error });
  }
}
