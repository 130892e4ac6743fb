// Goal: what README shows of the program is what the program prints, to the letter but for dates.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { preset } from '../../src/domain/config/policy-schema.js';
import { runDovegate } from '../kit/daemon.js';
import { openFolder } from '../kit/folder.js';
import { writeJournal } from './desk.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** The fenced blocks of a language behind a heading or a line of text. */
function blocksBehind(text: string, language: string): string[] {
  const from = readme.indexOf(text);
  assert.ok(from >= 0, text);
  const blocks = readme.slice(from).matchAll(/^```([a-z]*)\n(.*?)^```$/gms);
  return [...blocks].filter(([, name]) => name === language).map(([, , content]) => content ?? '');
}

const conditions = '### Conditions';
const [firstExample = ''] = blocksBehind('**2. Write `/etc/dovegate/dovegate.yaml`:**', 'yaml');

/** As README says it: the first example, with the policies behind a heading; its files are where the test is. */
function withPolicies(heading: string): string {
  const [policies = ''] = blocksBehind(heading, 'yaml');
  return firstExample
    .replace(/^policies:\n.*?(?=^audit:)/ms, policies)
    .replaceAll('/etc/dovegate/', '')
    .replace('/var/lib/dovegate/', '');
}

const configuration = withPolicies('### Asking what a policy says');

const files: Readonly<Record<string, string>> = {
  'conditions.yaml': withPolicies(conditions),
  'dovegate.yaml': configuration,
  'mistakes.yaml': configuration
    .replace('mailbox list\n', 'mailbox lst\n')
    .replace('at_least: 30d', 'at_least: 30'),
  'observe.yaml': configuration
    .replace('  support:\n    users', '  support:\n    mode: observe\n    users')
    .replace(/ {6}- mailbox list\n.*(?= {4}deny:)/s, ''),
};

/** The day that the journal of the suggestion saw. */
const day: readonly (readonly [user: string, ...words: string[]])[] = [
  ['alice@example.com', 'quota', 'get'],
  ['bob@example.com', 'quota', 'get'],
  ['alice@example.com', 'mailbox', 'status', 'messages', 'INBOX'],
  ['bob@example.com', 'mailbox', 'status', 'messages vsize', 'INBOX'],
  ['bob@example.com', 'expunge', 'mailbox', 'Trash', 'savedbefore', '30d'],
  ['alice@example.com', 'mailbox', 'delete', 'Old'],
];

/** Commands and what they print: each begins with `$ `. */
const shown = blocksBehind(conditions, '')
  .filter((block) => block.startsWith('$ '))
  .flatMap((block) => block.split(/^(?=\$ )/m))
  .map((text) => {
    const [command = '', ...lines] = text.split('\n');
    return { command: command.slice('$ dovegate '.length), output: lines.join('\n').trimEnd() };
  });

test('README shows explain, can, check, test and suggest', () => {
  const subcommands = new Set(shown.map(({ command }) => command.split(' ')[0]));
  for (const name of ['explain', 'can', 'check', 'test', 'suggest']) assert.ok(subcommands.has(name), name);
});

test('README names every preset, and what each takes and holds without being told', () => {
  const folder = new URL('../../../config/presets/', import.meta.url);
  const shape = z.object({ parameters: preset.shape.parameters });
  const said = Object.fromEntries(
    [...readme.matchAll(/^\| `([a-z-]+)` +\| [^|]+ \|(.*)\|$/gm)].map(([, name, values]) => [name, values]),
  );
  for (const file of readdirSync(folder)) {
    const { parameters = {} } = shape.parse(parse(readFileSync(new URL(file, folder), 'utf8')));
    const values = said[file.replace('.yaml', '')];
    assert.ok(values !== undefined, file);
    const named = [...values.matchAll(/`([a-z_]+)`(?: \(([^)]*)\))?/g)].map(([, name, fallback]) => [
      name,
      fallback?.replaceAll(/[`"]/g, ''),
    ]);
    const taken = Object.entries(parameters).map(([name, each]) => [
      name,
      each.default === undefined ? undefined : [each.default].flat().join(', '),
    ]);
    assert.deepEqual(named, taken, file);
  }
});

for (const { command, output } of shown) {
  test(`README: dovegate ${command}`, async (t) => {
    const folder = openFolder(t);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    for (const name of ['ca.pem', 'mail1.password']) writeFileSync(join(folder, name), 'x', { mode: 0o600 });
    const atMs = Date.now() - 3_600_000;
    const sent = day.map(([user, ...words]) => ({ listener: 'support', user, words, atMs }));
    writeJournal(folder, sent, files['observe.yaml']);
    const told = await runDovegate(command.split(' '), { cwd: folder });
    assert.equal(datesOut(told.stdout.toString().trimEnd()), datesOut(output));
  });
}

function datesOut(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\d(?:T[\d:.]+Z| \d\d:\d\d UTC)?/g, 'DATE');
}
