// The reference of all settings: name, type, bounds, default and one line of meaning each, from the schema of the built program.
import { describedSchema } from './json-schema.mjs';
import { wrapped } from './wrap.mjs';

/** Maps whose values are conditions, parameters or targets, and those that one line describes whole. */
const leaves =
  /(\.where|server_commands|^listeners\.NAME\.policies|\.hash|^policies\.NAME\.use|^tests\[\]\.as|^persons\.NAME|^limits\.deadline|\.mail|^policies\..*\.reason|\.people\.NAME\.oidc)$/;

/** What several sections have alike is listed once, by a name in capitals. */
const families = [
  {
    name: 'RULE',
    head: 'Rules (`policies.NAME.allow[]`, `deny[]`, `on_request[]`)',
    at: /^policies\.NAME\.(allow|deny|on_request)\[\](?=\.)/,
  },
  {
    name: 'PEERS',
    head: 'Persons of this host (`listeners.NAME.peers`, `listeners.NAME.policies[].peers`)',
    at: /^listeners\.NAME\.peers(?=\.)/,
  },
  {
    name: 'SOCKET',
    head: 'UNIX sockets (`listeners.NAME`, `admin`, `admin.page`)',
    at: /^(listeners\.NAME|admin|admin\.page)(?=\.(mode|owner|group)$)/,
  },
  {
    name: 'TLS',
    head: 'TLS of sockets (`listeners.NAME.tls`, `admin.tls`, `admin.page.tls`)',
    at: /^(listeners\.NAME|admin|admin\.page)\.tls(?=\.)/,
  },
  {
    name: 'PROOF',
    head: 'Proofs (`listeners.NAME.accounts.NAME`, `admin.page.people.NAME`)',
    at: /^(listeners\.NAME\.accounts|admin\.page\.people)\.NAME(?=\.(certificate_name|password_hash)$)/,
  },
  {
    name: 'SERVER',
    head: 'Servers that are connected to (`backends.NAME`, `audit.ship[]`, `notices.NAME`, `admin.page.oidc`)',
    at: /^(backends\.NAME|audit\.ship\[\]|notices\.NAME|admin\.page\.oidc)(?=\.(ca|server_name)$)/,
  },
];

/** Every setting of a schema: its path and its node. */
function* settingsIn(schema, path, above = false) {
  // What a section says of a restart holds for all that does not say otherwise.
  const node = { ...schema, restart: schema.restart ?? above };
  const below = path === '' ? '' : `${path}.`;
  if (leaves.test(path)) {
    yield [path, node];
    return;
  }
  const parts = [node, ...(node.anyOf ?? [])];
  const inner = parts.flatMap((part) => [
    ...Object.entries(part.properties ?? {}).map(([key, value]) => [`${below}${key}`, value]),
    ...(typeof part.additionalProperties === 'object' ? [[`${below}NAME`, part.additionalProperties]] : []),
    ...(part.items?.properties || part.items?.anyOf?.some((each) => each.properties)
      ? [[`${path}[]`, part.items]]
      : []),
  ]);
  const isMap = parts.some((part) => part.properties || typeof part.additionalProperties === 'object');
  // A list of maps, as a map of maps, is no setting of its own; but where rules are listed says what they do.
  const isList = inner.length > 0 && !path.startsWith('policies.');
  if (!isMap && !isList && !path.endsWith('[]')) yield [path, node];
  for (const [key, value] of inner) yield* settingsIn(value, key, node.restart);
}

/** Its type, with unit and bounds. */
function typeOf(node) {
  const { form = '', type, enum: words, minimum, maximum, anyOf } = node;
  if (words) return words.map((each) => `\`${each}\``).join(', ');
  if (/^a (duration|size|rate)/.test(form)) return form.replace(/^a (\w+):.*/, '$1');
  if (type === 'integer') return `${minimum} to ${maximum}`;
  if (type === 'boolean') return 'true, false';
  if (type === 'array') return 'list';
  if (/relative to the file/.test(form)) return 'path';
  if (anyOf?.some((each) => each.type === 'array')) return 'path or list';
  if (anyOf?.some((each) => each.enum))
    return anyOf
      .flatMap((each) =>
        each.type === 'boolean' ? 'true, false' : (each.enum ?? []).map((word) => `\`${word}\``),
      )
      .join(', ');
  return type === 'object' ? 'map' : 'text';
}

function defaultOf({ default: value = [] }) {
  if (typeof value !== 'object') return String(value);
  return Array.isArray(value) ? value.join(', ') : '';
}

const head = `# All settings

For someone who looks up one key of \`/etc/dovegate/dovegate.yaml\`. \`node scripts/make-settings.mjs\` writes this page from the shape
that \`dovegate check\` uses. How sections work together: [configuration](configuration.md).

A duration is a whole number with a unit: \`500ms\`, \`5s\`, \`10m\`, \`2h\`, \`7d\`, \`52w\` (a year). So is a size: \`512B\`, \`64KiB\`,
\`1536KiB\` (1.5 MiB), \`2GiB\`, \`1TiB\`. A rate is \`20/hour\`. \`NAME\` is a name of your own, \`[]\` an item of a list.
A setting without a type is a text. A reload reads every setting without "read at a start"; all of \`admin\` but \`admin.page\` is read at a
start, too.
`;
const tail = `## What can go wrong

- **A key is unknown.** \`dovegate check\` names the nearest one; keys are never ignored.
- **A number without a unit.** Durations and sizes need one; it is never guessed.
`;

/** By the first key of their path; rules by themselves. */
function sectionsOf(found) {
  const sections = new Map();
  for (const [path, node] of found) {
    const first = path.split(/[.[]/)[0];
    const isTop = first === path && !/object|array/.test(node.type);
    const family = families.find((each) => each.name === first);
    const name = family?.head ?? (isTop ? 'Top' : `\`${first}\``);
    sections.set(name, [...(sections.get(name) ?? []), [path, node]]);
  }
  return sections;
}

/** `name` (type; default): meaning. */
function lineOf(path, node) {
  const [type, value] = [typeOf(node), defaultOf(node)];
  const facts = [
    ...(type === 'text' ? [] : [type]),
    ...(value === '' ? [] : [`default ${value}`]),
    ...(node.restart ? ['read at a start'] : []),
  ];
  return wrapped(
    '- ',
    `\`${path}\`${facts.length === 0 ? '' : ` (${facts.join('; ')})`}: ${node.description}`,
  );
}

/** The page. */
export function formatSettingsPage() {
  const found = new Map();
  for (const [path, node] of settingsIn(describedSchema(), '')) {
    const family = families.find(({ at }) => at.test(path));
    const name = family ? path.replace(family.at, family.name) : path;
    // The conditions of rules have a page of their own.
    if (/^RULE.*\[/.test(name)) continue;
    // Keys of several sections are described once.
    if (!found.has(name)) found.set(name, node);
  }
  const missing = [...found].filter(([, { description }]) => description === undefined);
  if (missing.length > 0)
    throw new Error(
      `without a line of documentation in the schema: ${missing.map(([path]) => path).join(' ')}`,
    );
  const sections = [...sectionsOf(found)].map(
    ([name, rows]) => `## ${name}\n\n${rows.map(([path, node]) => lineOf(path, node)).join('\n')}\n`,
  );
  return `${head}\n${sections.join('\n')}\n${tail}`;
}
