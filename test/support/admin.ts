// What a server's admin listener says, and Prometheus's own parser to read its metrics.
import { spawnSync } from 'node:child_process';
import { venv } from './server.js';

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly documentation: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const PARSE = `
import json, math, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([
    {'name': f.name, 'type': f.type, 'documentation': f.documentation,
     'samples': [{'name': s.name, 'labels': s.labels, 'value': s.value} for s in f.samples]}
    for f in text_string_to_metric_families(sys.stdin.read())
]))
`;

/** Reads /metrics as Prometheus's Python client does. */
export async function scrape(admin: string): Promise<readonly Family[]> {
  const response = await fetch(`${admin}/metrics`);
  if (!response.headers.get('content-type')?.startsWith('text/plain; version=0.0.4'))
    throw new Error(`no metrics: ${response.status} ${response.headers.get('content-type')}`);
  const parsed = spawnSync(`${venv}/bin/python`, ['-c', PARSE], {
    input: await response.text(),
    encoding: 'utf8',
  });
  if (parsed.status !== 0) throw new Error(parsed.stderr);
  return JSON.parse(parsed.stdout) as Family[];
}

/** The sum of all samples of this name that have these labels among theirs. */
export function readValue(
  families: readonly Family[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const samples = families
    .flatMap((family) => family.samples)
    .filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  return samples.reduce((sum, { value }) => sum + value, 0);
}

export async function readHealth(
  admin: string,
): Promise<{ status: number; ready: boolean; reasons: string[] }> {
  const response = await fetch(`${admin}/health/ready`);
  return { status: response.status, ...((await response.json()) as { ready: boolean; reasons: string[] }) };
}
