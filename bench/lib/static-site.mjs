/** The files of the scenario `static`, made anew where they are missing; and nginx as it serves them. */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export const staticSite = join(tmpdir(), `lido-bench-static-${userInfo().uid}`);

const FILES = { 'small.css': 4 * 1024, 'medium.js': 48 * 1024, 'large.bin': 1024 * 1024 };
const LINE = '.button:hover{color:#246}\n';

/** What a file holds. */
export function contentOf(name) {
  return LINE.repeat(Math.ceil(FILES[name] / LINE.length)).slice(0, FILES[name]);
}

export function makeStaticSite() {
  mkdirSync(staticSite, { recursive: true });
  for (const name of Object.keys(FILES))
    if (!existsSync(join(staticSite, name))) writeFileSync(join(staticSite, name), contentOf(name));
}

/** Its defaults, but for what it takes to compare: no access log, no end of a connection after so many requests. */
export function configureNginx({ port, processes }) {
  const folder = mkdtempSync(join(tmpdir(), 'lido-bench-nginx-'));
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${processes};
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /static/ { alias ${staticSite}/; }
  }
}
`,
  );
  return file;
}
