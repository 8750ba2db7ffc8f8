// The Django project of test/frameworks with a database of its own: migrated, and with a superuser.
import { spawnSync } from 'node:child_process';
import { makeFolder, type Place, type Running, serveLido } from './command.js';
import { root, venv } from './server.js';

export const SUPERUSER = { username: 'ada', password: 'a deep pool' };

/** Migrates the database and serves the site by the command, with `words` beside. Uploads end in `folder`/media. */
export async function serveDjangoSite(
  words: readonly string[] = [],
  env: Record<string, string> = {},
  application = 'django_site.wsgi',
): Promise<Running & { readonly folder: string }> {
  const folder = makeFolder({});
  const place: Place = {
    cwd: `${root}test/frameworks`,
    env: { ...env, SITE_FOLDER: folder, DJANGO_SUPERUSER_PASSWORD: SUPERUSER.password },
  };
  const { username } = SUPERUSER;
  manage(place, 'migrate', '--verbosity', '0');
  manage(place, 'createsuperuser', '--noinput', '--username', username, '--email', 'ada@lido.test');
  const running = await serveLido(['--python', venv, ...words, application], place);
  return { ...running, folder };
}

function manage({ cwd, env }: Place, ...words: readonly string[]): void {
  const result = spawnSync(`${venv}/bin/python`, ['-m', 'django', ...words], {
    cwd,
    env: { ...process.env, ...env, DJANGO_SETTINGS_MODULE: 'django_site.settings' },
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`${words[0]} failed: ${result.stderr}`);
}
