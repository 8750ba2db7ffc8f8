/** docs/benchmarks.md's measured part, and its plots, from the newest saved results. What stands outside the marks is kept. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { docs } from './paths.mjs';
import { buildPlot } from './plot.mjs';
import { loadLastResult } from './results.mjs';
import { buildTable, listDisturbed } from './table.mjs';

const BEGIN = '<!-- measured: written by npm run bench -- --docs -->';
const END = '<!-- end of measured -->';

export async function writeDocs(scenarios) {
  mkdirSync(`${docs}/plots`, { recursive: true });
  const sections = [];
  for (const name of scenarios) {
    const result = loadLastResult(name);
    if (result === null) continue;
    const { default: scenario } = await import(`../scenarios/${name}.mjs`);
    sections.push(
      `## ${scenario.title}\n\n${scenario.text}\n\n${describeRun(result)}\n`,
      ...writeGroups(result),
    );
  }
  const file = `${docs}/benchmarks.md`;
  const text = readFileSync(file, 'utf8');
  const [before, after] = [text.slice(0, text.indexOf(BEGIN)), text.slice(text.indexOf(END) + END.length)];
  writeFileSync(file, `${before}${BEGIN}\n\n${sections.join('\n')}\n${END}${after}`);
  console.log(`wrote ${file}`);
}

function writeGroups({ groups }) {
  return groups.flatMap((group) =>
    group.loads.map((load) => {
      const title = `${group.name}: ${load.name}`;
      const plot = buildPlot(title, load);
      const name = `${title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.svg`;
      if (plot !== null) writeFileSync(`${docs}/plots/${name}`, plot);
      const image = plot === null ? '' : `![${title}](plots/${name})\n\n`;
      const remark = listDisturbed(load) === '' ? '' : `\n${listDisturbed(load)}\n`;
      return `### ${title}\n\n${image}${buildTable(load)}\n${remark}`;
    }),
  );
}

function describeRun({ scenario, machine, rounds, seconds }) {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const optimised = machine.pythonOptimised ? '' : ' (built without PGO)';
  return [
    `\`npm run bench -- ${scenario} --rounds ${rounds} --seconds ${seconds}\`, ${machine.date.slice(0, 10)}, commit ${machine.commit}${machine.changed ? ' with changes' : ''}.`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ${machine.system}, Node.js ${machine.node}, CPython ${machine.python}${optimised}, driven by ${machine.loadTool} on the same machine.`,
    `${versions.join(', ')}.`,
  ].join(' ');
}
