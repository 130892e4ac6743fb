// Reading a configuration beside the main thread: the same answer as in one go, in pieces, and with the loop free for others meanwhile.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/host/machine/clock.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import { isReading, loadBeside } from '../../../src/rules/setup/configuration-beside.js';
import { openFolder } from '../../kit/plain/folder.js';

const judged = { asksForFiles: false };

/** A configuration with so many rules. */
function configurationOf(rules: number): string {
  const rule = (at: number): string =>
    `      - { command: mailbox create, where: { mailbox: ["team${at}/*"] }, users: ["u${at}@example.com"] }\n`;
  return `
version: 1
mail_users: { default_realm: example.com }
listeners: { support: { unix: support.sock, policy: support } }
backends: { mail1: { address: "unix:mail1.sock", shared_namespaces: [shared/] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.com", "**@example.com"]
    except: ["ceo@example.com"]
    limits: { rate: 20/minute }
    allow:
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }
      - { command: fetch, where: { field: { regex: "(uid|date)+" }, query: any } }
      - { command: quota get, limit: 5/hour, root_equivalent: true }
${Array.from({ length: rules }, (_, at) => rule(at)).join('')}    deny: [{ command: mailbox list }]
tests: [{ listener: support, user: anna, command: [quota get], expect: allow }]
`;
}

void test('the settings and problems are those of a reading in one go', async (t) => {
  const path = join(openFolder(t), 'dovegate.yaml');
  writeFileSync(path, configurationOf(40));
  const beside = await loadBeside(path, systemClock, judged);
  const whole = loadConfiguration(path, judged);
  assert.deepEqual(beside.problems, whole.problems);
  assert.deepEqual(beside.found, whole.found);
  assert.ok(beside.problems.length > 0);
  assert.equal(beside.settings?.hash, whole.settings?.hash);
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  assert.deepEqual(plain(beside.settings), plain(whole.settings));
  const one = beside.settings?.policies.get('support');
  const other = whole.settings?.policies.get('support');
  assert.equal(one?.effectiveText, other?.effectiveText);
  assert.equal(one?.version, other?.version);
  assert.deepEqual([...(one?.allowByCommand.keys() ?? [])], [...(other?.allowByCommand.keys() ?? [])]);
  assert.equal(one?.users.matches('a@b@example.com'), true);
  assert.equal(one.except.matches('ceo@example.com'), true);
  assert.equal(one.except.matches('anna@example.com'), false);
});

void test('problems of the machine come at the places of their values', async (t) => {
  const path = join(openFolder(t), 'dovegate.yaml');
  const admin = 'admin: { unix: a.sock, token_file: nowhere }';
  writeFileSync(path, configurationOf(1).replace('version: 1', `version: 1\n${admin}`));
  const beside = await loadBeside(path, systemClock, { asksForAccounts: false });
  assert.equal(beside.settings, undefined);
  assert.deepEqual(beside, loadConfiguration(path, { asksForAccounts: false }));
  const missing = beside.found.find(({ path: key }) => key === 'admin.token_file');
  assert.deepEqual([missing?.line, missing?.column, missing?.code], [3, 36, 'unreadable-file']);
});

void test('a file that is no YAML is a problem, and no settings come', async (t) => {
  const path = join(openFolder(t), 'dovegate.yaml');
  writeFileSync(path, 'listeners: [');
  assert.deepEqual(await loadBeside(path, systemClock, judged), loadConfiguration(path, judged));
});

void test('an include that is a pipe is a problem, and nobody waits for its writer', (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'dovegate.yaml');
  writeFileSync(path, `include: [fifo.yaml]\n${configurationOf(1)}`);
  execFileSync('mkfifo', [join(folder, 'fifo.yaml')]);
  const { problems } = loadConfiguration(path, judged);
  assert.match(problems.join('\n'), /dovegate\.yaml:1:11: .*fifo\.yaml cannot be read: it is a pipe/);
});

void test('a file system that does not answer: the reading fails in time, and can be repeated', async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'dovegate.yaml');
  const fifo = join(folder, 'fifo.yaml');
  execFileSync('mkfifo', [fifo]);
  // To read it waits for a writer that says nothing, as for a dead file system. By its own name a pipe would be refused.
  const writer = openSync(fifo, 'r+');
  writeFileSync(path, `include: [/dev/fd/${writer}]\n${configurationOf(1)}`);
  const startMs = performance.now();
  await assert.rejects(
    loadBeside(path, systemClock, { ...judged, deadlineMs: 300 }),
    /no answer within 0.3 s/,
  );
  assert.ok(performance.now() - startMs < 30_000);
  assert.equal(isReading(), true);
  closeSync(writer);
  while (isReading()) await systemClock.nextTurn();
  writeFileSync(path, configurationOf(1));
  assert.notEqual((await loadBeside(path, systemClock, judged)).settings, undefined);
});
