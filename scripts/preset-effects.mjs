// Writes docs/preset-effects.md: what each shipped preset was found to do on real servers, from what the search keeps in
// test/dovecot/preset-effects.json, beside the promise at the top of the preset.
//
//   node scripts/preset-effects.mjs           write it
//   node scripts/preset-effects.mjs --print   print it instead (what the test compares)
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wrapped } from './wrap.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const kept = join(root, 'test', 'dovecot', 'preset-effects.json');
const kinds = ['shows', 'changes', 'reaches', 'kills'];

/** Worst first; what is not here comes last. */
const gravest = [
  /password|secret|hidden|environment/,
  /outside of the policy/,
  /gone: mails of/,
  /gone:/,
  /texts of mails/,
  /by dsync/,
  /headers of mails/,
  /others in the policy/,
  /Sieve/,
  /rights of/,
  /whether a mail/,
  /attributes/,
  /new: mails/,
  /log lines/,
  /userdb/,
  /sessions/,
  /other mailboxes|names:|new:/,
];

function gravity({ what }) {
  const at = gravest.findIndex((pattern) => pattern.test(what));
  return at === -1 ? gravest.length : at;
}

const cell = (text) => text.replaceAll('<', '&lt;');

/** The two comments at the top of a preset: what it does not enforce, and what it is for. */
function promiseOf(name) {
  const text = readFileSync(join(root, 'config', 'presets', `${name}.yaml`), 'utf8');
  return text
    .replaceAll('\n#   ', ' ')
    .split('\n')
    .filter((line) => line.startsWith('# '))
    .slice(0, 2)
    .map((line) => line.slice(2));
}

function sectionOf(name, effects) {
  const [notEnforced = '', promise = ''] = promiseOf(name);
  const items = kinds.flatMap((kind) => {
    const found = effects
      .filter((effect) => effect.kind === kind)
      .map(({ what, series }) => `${cell(what)}${series.length === 1 ? ` (${series[0]} only)` : ''}`);
    return found.length === 0 ? [] : [wrapped('- ', `**${kind}** ${found.join('; ')}`)];
  });
  return [`## ${name}`, '', wrapped('', cell(promise)), '', wrapped('', cell(notEnforced)), '', ...items, ''];
}

const effects = Object.entries(JSON.parse(readFileSync(kept, 'utf8'))).flatMap(([preset, ofKinds]) =>
  Object.entries(ofKinds).flatMap(([kind, found]) =>
    Object.entries(found).map(([what, [series, line]]) => ({
      preset,
      kind,
      what,
      series: series.split(' '),
      line,
    })),
  ),
);
const names = readdirSync(join(root, 'config', 'presets'))
  .map((name) => name.replace(/\.yaml$/, ''))
  .toSorted();
const of = (name) =>
  effects
    .filter(({ preset }) => preset === name)
    .toSorted(
      (one, other) => kinds.indexOf(one.kind) - kinds.indexOf(other.kind) || gravity(one) - gravity(other),
    );
const text = [
  '# What presets allow, at worst',
  '',
  'For whoever chooses a preset: the worst that was found for each one, on real Dovecot servers. This page is generated.',
  '',
  wrapped(
    '',
    'A seeded search makes command lines that a preset allows, sends them to Dovecot 2.3.19.1 and 2.4.1 as the daemon would, and compares ' +
      'replies, mailboxes and processes before and after. The presets are used by a team of two users, and by a policy for everybody. Secrets ' +
      'are planted where no preset may reach: fields of the userdb, hidden attributes, the password of the server, mail of a user who is not ' +
      'in the policy.',
  ),
  '',
  wrapped(
    '',
    '`retention-janitor` has an age of 1 s in the policy for everybody, since the mails are young. What the daemon holds besides ' +
      '(`max_matches`, `limit`, a reason) is not part of it. The worst comes first. How to search again: `test/README.md` in the sources.',
  ),
  '',
  'A test fails when the search finds an effect that is not on this page, a process that ends, or a planted secret in a reply.',
  '',
  '"Others in the policy" are users for whom the policy holds, and whom the command does not name.',
  '',
  ...names.flatMap((name) => sectionOf(name, of(name))),
].join('\n');

if (process.argv.includes('--print')) {
  process.stdout.write(text);
} else {
  const page = join(root, 'docs', 'preset-effects.md');
  writeFileSync(page, text);
  // The lines of the data are the formatter's.
  process.exitCode =
    spawnSync('npx', ['biome', 'format', '--write', kept], { cwd: root, stdio: 'inherit' }).status ?? 1;
}
