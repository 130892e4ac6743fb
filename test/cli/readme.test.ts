// Goal: what README shows of the program is what the program prints, to the letter but for dates.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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

const asking = '### Asking what a policy says';
const [firstExample = ''] = blocksBehind('**2. Write `/etc/dovegate/dovegate.yaml`:**', 'yaml');
const [policies = ''] = blocksBehind(asking, 'yaml');

/** As README says it: the first example, with these policies; its files are where the test is. */
const configuration = firstExample
  .replace(/^policies:\n.*?(?=^audit:)/ms, policies)
  .replaceAll('/etc/dovegate/', '')
  .replace('/var/lib/dovegate/', '');

const files: Readonly<Record<string, string>> = {
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
const shown = blocksBehind(asking, '')
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
