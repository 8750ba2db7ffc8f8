/** What is done to a server under load. Each is given the site, its load and how often; it ends when clients have seen all of it. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { accepts, findFreePort, makeCertificate, Site } from './site.mjs';

/** After something was done that cannot be seen from outside. Milliseconds. */
const PAUSE_MS = 1500;
const KEPT_GIL_MS = 6000;

/** `needs`: what a server must have; `site`: how it is started; `isRefusalLoss`: false where nobody is left to connect to. */
export const acts = [
  {
    name: (times) => `${times} reloads (SIGHUP)`,
    needs: 'reload',
    act: async ({ site, load, times }) => {
      for (let count = 0; count < times; count += 1) {
        const old = new Set(load.seen.keys());
        site.signal('SIGHUP');
        await load.untilReplaced(old);
      }
    },
  },
  {
    name: () => 'recycling every 200 requests',
    needs: 'recycle',
    site: { recycle: true },
    act: ({ load, times }) => load.answerMore(200 * times),
  },
  {
    name: () => 'SIGTTIN twice, SIGTTOU twice',
    needs: 'scale',
    act: async ({ site }) => {
      for (const signal of ['SIGTTIN', 'SIGTTIN', 'SIGTTOU', 'SIGTTOU']) {
        site.signal(signal);
        await sleep(PAUSE_MS);
      }
    },
  },
  {
    name: () => 'kill -9 of one process of two',
    act: async ({ load }) => {
      const [victim] = [...load.seen].sort(([, one], [, other]) => other - one)[0];
      process.kill(victim, 'SIGKILL');
      await load.answerMore(300);
    },
  },
  {
    name: () => 'certificate renewed',
    needs: 'renew',
    site: { tls: true },
    act: async ({ site, load, server }) => {
      const before = await readSerial(site.port);
      makeCertificate(site.tls);
      if (server !== 'Lido') site.signal('SIGHUP');
      while ((await readSerial(site.port)) === before) await sleep(100);
      await load.answerMore(100);
    },
  },
  {
    name: () => 'another binary (SIGUSR2)',
    needs: 'upgrade',
    act: async ({ site, load, server }) => {
      const old = new Set(load.seen.keys());
      site.signal('SIGUSR2');
      if (server !== 'Lido') {
        // As gunicorn's documentation has it: the new master serves beside the old one, which is told to end.
        while (!existsSync(`${site.pidfile}.2`)) await sleep(20);
        await sleep(PAUSE_MS);
        site.signal('SIGTERM');
      }
      await site.untilEnded();
      await load.untilReplaced(old);
      // The new one, which is no child of this program, may take a moment to write it.
      while (!existsSync(site.pidfile)) await sleep(20);
      const pid = Number(readFileSync(site.pidfile, 'utf8'));
      process.kill(pid, 'SIGTERM');
      await load.stop();
      while (existsSync(site.pidfile)) await sleep(20);
    },
    // The end itself refuses: what came before it has been counted by then.
    isRefusalLoss: false,
  },
  {
    name: () => 'SIGTERM',
    act: async ({ site }) => {
      site.signal('SIGTERM');
      await site.untilEnded();
    },
    isRefusalLoss: false,
  },
];

/** Two instances behind nginx are ended and started again, one after the other. POST, which nginx does not ask twice. */
export async function restartBehindNginx(server, times, makeLoad) {
  const sites = [await new Site(server).start(), await new Site(server).start()];
  const nginx = await startNginx(sites.map(({ port }) => port));
  try {
    const load = makeLoad({ port: nginx.port, method: 'POST' });
    await load.answerMore(50);
    for (let count = 0; count < times; count += 1)
      for (const site of sites) {
        site.signal('SIGTERM');
        await site.untilEnded();
        await site.start();
        // nginx leaves one alone for a second that it could not reach.
        await sleep(2 * PAUSE_MS);
        await load.answerMore(50);
      }
    await load.stop();
    return load;
  } finally {
    await nginx.close();
    await Promise.all(sites.map((site) => site.close()));
  }
}

/** How many others are answered while one process keeps the GIL, and how many were in as long a time before. */
export async function keepGil(server, makeLoad) {
  const site = await new Site(server).start();
  try {
    const load = makeLoad({ port: site.port });
    await load.answerMore(50);
    const begun = load.answered;
    await sleep(KEPT_GIL_MS);
    const before = load.answered - begun;
    const kept = new Promise((resolve) => {
      get(`http://127.0.0.1:${site.port}/keeps`, { agent: false }, (response) => {
        response.resume().on('end', resolve);
      }).on('error', resolve);
    });
    await sleep(KEPT_GIL_MS);
    const within = load.answered - begun - before;
    await kept;
    await load.stop();
    return { before, within, load };
  } finally {
    await site.close();
  }
}

function readSerial(port) {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', () => resolve(null));
  });
}

async function startNginx(ports) {
  const folder = mkdtempSync(join(tmpdir(), 'lido-operate-nginx-'));
  const port = await findFreePort();
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream site {
${ports.map((each) => `    server 127.0.0.1:${each} max_fails=1 fail_timeout=1s;`).join('\n')}
    keepalive 16;
    keepalive_timeout 60s;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://site;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }
  }
}
`,
  );
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  while (!(await accepts(port))) await sleep(20);
  const close = async () => {
    child.kill('SIGQUIT');
    await Promise.race([ended, sleep(3000)]);
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  return { port, close };
}
