/** Main thread. The table of settings as a JSON schema, for editors, and as the settings page. Pure. */
import {
  flagOf,
  isList,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from './table.js';

/** The schema of lido.config.json and lido.config.toml: JSON Schema, draft 2020-12. */
export function buildSchema(): Record<string, unknown> {
  const properties = settingNames.map((name) => [name, describeProperty(settings[name])]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: "Lido's config file",
    type: 'object',
    additionalProperties: false,
    properties: { $schema: { type: 'string' }, ...Object.fromEntries(properties) },
  };
}

function describeProperty(setting: Setting): Record<string, unknown> {
  const { text, default: value } = setting;
  if (setting.type === 'mounts') return describeMounts(text);
  if (setting.type === 'folders') return describeFolders(text);
  const description = value === null ? { description: text } : { description: text, default: value };
  if (isList(setting)) {
    const item = describeItem(setting);
    const list = { type: 'array', items: item };
    return { ...description, anyOf: [item, setting.isNeeded === true ? { ...list, minItems: 1 } : list] };
  }
  if (setting.type === 'boolean') return { ...description, type: 'boolean' };
  if (setting.type === 'application') return { ...description, type: 'string', pattern: '^[^:]' };
  if (setting.type === 'access-format') return { ...description, type: 'string', minLength: 1 };
  if (setting.type === 'mode') return { ...description, type: 'string', pattern: '^0?[0-7]{3}$' };
  if (setting.type === 'string' || setting.type === 'socket') {
    return setting.choices === undefined
      ? { ...description, type: 'string', minLength: 1 }
      : { ...description, enum: setting.choices };
  }
  const type = setting.type === 'seconds' ? 'number' : 'integer';
  const maximum = setting.max === undefined ? {} : { maximum: setting.max };
  return { ...description, type, minimum: setting.min ?? 0, ...maximum };
}

function describeItem({ type, choices }: Setting): Record<string, unknown> {
  if (choices !== undefined) return { enum: choices };
  return type === 'pairs' ? { type: 'string', pattern: '^[^=]+=' } : { type: 'string', minLength: 1 };
}

function describeMounts(description: string): Record<string, unknown> {
  const names = settingNames.filter((name) => (settings[name] as Setting).scope === undefined);
  const own = Object.fromEntries(names.map((name) => [name, describeProperty(settings[name])]));
  const mount = { type: 'object', additionalProperties: false, properties: own, required: ['application'] };
  const name = { type: 'string', pattern: '^[^:]' };
  return {
    description,
    type: 'object',
    minProperties: 1,
    propertyNames: { pattern: '^/' },
    additionalProperties: { anyOf: [name, mount] },
  };
}

function describeFolders(description: string): Record<string, unknown> {
  const folder = { type: 'string', minLength: 1 };
  return {
    description,
    type: 'object',
    minProperties: 1,
    propertyNames: { pattern: '^/' },
    additionalProperties: folder,
  };
}

/** docs/settings.md */
export function buildSettingsPage(): string {
  const groups = [...new Set(settingNames.map((name) => settings[name].group))];
  const sections = groups.map((group) => {
    const rows = settingNames.filter((name) => settings[name].group === group).map(buildRow);
    return `## ${group}\n\n| setting | flag | variable | takes | default | | why this default |\n| --- | --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Settings

Made by \`npm run docs\` from the table in src/settings/table.ts. [configuration.md](configuration.md) tells how the command
line, the environment and a config file go together.

${sections.join('\n')}`;
}

function buildRow(name: SettingName): string {
  const setting = settings[name];
  const flag = name === 'application' ? 'MODULE:CALLABLE' : flagOf(name);
  const cells = [
    code(name),
    code(flag),
    code(variableOf(name)),
    describeType(setting),
    describeDefault(setting),
  ];
  return `| ${[...cells, setting.text, setting.why].join(' | ').replaceAll('$', '\\$')} |`;
}

function describeType({ type, choices, min = 0, max }: Setting): string {
  if (choices !== undefined) return `${type === 'strings' ? 'list of ' : ''}${choices.map(code).join(', ')}`;
  const from = max === undefined ? `, ${min} or more` : `, from ${min} to ${max}`;
  const types = {
    application: '`MODULE:CALLABLE`',
    string: 'text',
    'access-format': 'text with `%(NAME)s` in it',
    mode: 'three octal digits, as text',
    socket: 'text',
    strings: 'list of texts',
    addresses: 'list of addresses',
    proxies: 'list of addresses, networks, `unix` or `*`',
    pairs: 'list of `KEY=VALUE`',
    integer: `whole number${from}`,
    seconds: `seconds${from}`,
    bytes: `bytes${from}`,
    boolean: '`true` or `false`',
    mounts: 'object of applications by path',
    folders: 'object of folders by path',
  };
  return types[type];
}

function describeDefault({ default: value }: Setting): string {
  if (value === null) return '';
  return code(JSON.stringify(value));
}

function code(text: string): string {
  return `\`${text}\``;
}
