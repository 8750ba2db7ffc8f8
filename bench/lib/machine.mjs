/** What was measured on, and what was measured. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { root } from './paths.mjs';
import { peers, python } from './peers.mjs';
import { findLoadTool } from './saturate.mjs';

export async function describeMachine() {
  const versions = Object.entries(peers)
    .filter(([, peer]) => peer.found())
    .map(([name, peer]) => [name, peer.version()]);
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD'),
    changed: git('status', '--porcelain', '--', 'src', 'workers') !== '',
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    system: `${type()} ${release().split('-')[0]}`,
    node: process.versions.node,
    python: python('import platform; print(platform.python_version())'),
    pythonOptimised:
      python(
        'import sysconfig; print("--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""))',
      ) === 'True',
    loadTool: await findLoadTool(),
    versions: Object.fromEntries(versions),
  };
}

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}
