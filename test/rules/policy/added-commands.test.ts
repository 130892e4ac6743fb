// Goal: a command that a file of the site adds is judged like any other, for whoever has a rule that names it.
// What must not happen: a preset, a rule for other commands or mode observe lets it through; arguments of another shape than the file
// says reach a backend; a name of ours means another command.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandNames, createCommandSpotter, resolveCommand } from '../../../src/doveadm/commands/catalog.js';
import { readNamedCommand } from '../../../src/doveadm/commands/named.js';
import type { CommandLine } from '../../../src/doveadm/protocol/command.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import { nothingAsked } from '../../../src/rules/policy/route.js';
import { projectRoot } from '../../kit/plain/root.js';
import { memoryFiles } from '../config/sound.js';

const site = JSON.stringify({
  series: '2.4',
  commands: [
    {
      name: 'site scan',
      scope: 'user',
      effect: 'read',
      params: [
        { name: 'depth', short: 'd', type: 'int', optional: true },
        { name: 'mailbox', type: 'str', positional: true, role: 'mailbox' },
        { name: 'note', type: 'str', positional: true, optional: true },
      ],
    },
    {
      name: 'site give',
      scope: 'user',
      params: [{ name: 'to', type: 'str', positional: true, role: 'user-mask' }],
    },
    { name: 'site purge', scope: 'server', effect: 'read' },
    { name: 'site root', scope: 'user', grant: 'never' },
  ],
});

const presets = fileURLToPath(new URL('config/presets/', projectRoot));

function settingsOf(policy: string, more = '') {
  const text = `version: 1
listeners: { s: { unix: /run/s.sock, policy: p } }
backends: { mail1: { address: "unix:/m1", series: "2.4", shared_namespaces: [] }${more} }
routes: [{ users: ["*"], backend: mail1 }]
catalog: site.json
policies: { p: ${policy} }
`;
  const read = {
    ...memoryFiles({ '/d.yaml': text, '/site.json': site }),
    presetText: (name: string) => readFileSync(`${presets}${name}.yaml`, 'utf8'),
  };
  const { settings, problems } = parseSettings('/d.yaml', read);
  return settings ?? assert.fail(problems.map(({ message }) => message).join('\n'));
}

function assessed(policy: string, user: string, words: readonly string[] | CommandLine, more?: string) {
  const settings = settingsOf(policy, more);
  const subject = {
    listener: 's',
    principal: 'anna@s',
    clientMinor: 3,
    policy: settings.policies.get('p') ?? assert.fail(),
  };
  const line = 'words' in words ? words : plainLine(user, words);
  return assess(line, subject, routingTableOf(settings), nothingAsked, 0);
}

const alice = 'alice@example.org';
const scanning = '{ users: ["*"], allow: [site scan] }';

/** `allow`, or why it is refused. */
function said(...asked: Parameters<typeof assessed>): string {
  const found = assessed(...asked);
  const fate = fateOf(found);
  if (found.judgement.kind === 'unparsable') return `${found.judgement.code}: ${found.judgement.message}`;
  if (fate === 'deny') return `deny: ${found.judgement.decision.reason}`;
  return found.obstacle?.kind === 'unparsable' ? `${found.obstacle.code}: ${found.obstacle.reason}` : fate;
}

void test('a rule that names it allows it, in each way to write its words, with its effect', () => {
  for (const words of [
    ['site scan', 'INBOX'],
    ['site', 'scan', '--', 'INBOX'],
  ]) {
    const { judgement } = assessed(scanning, alice, words);
    assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
    assert.deepEqual([judgement.command, judgement.attempt.effect], ['site scan', 'read']);
    assert.equal(judgement.args.map(({ text }) => text).join(' '), '-- INBOX');
  }
  const without = said('{ users: ["*"], allow: [quota get] }', alice, ['site scan', 'INBOX']);
  assert.equal(without, 'deny: no rule allows "site scan"');
});

void test('arguments of an unknown shape are refused; a parameter without a role must be named by the rule', () => {
  assert.equal(
    said(scanning, alice, ['site scan', '-x', 'INBOX']),
    'unknown-option: argument 1 of "site scan" has a letter that is no option of it; a positional that begins with "-" goes behind "--"',
  );
  const tooLong = 'number-invalid: depth must be a decimal number of at most 64 bits';
  assert.equal(said(scanning, alice, ['site scan', '-d', 'deep', 'INBOX']), tooLong);
  assert.equal(said(scanning, alice, ['site scan']), 'argument-missing: "site scan" needs mailbox');
  assert.equal(
    said(scanning, alice, ['site scan', 'a', 'b', 'c']),
    'surplus-argument: "site scan" is given more positional arguments than it takes (takes mailbox, note)',
  );
  assert.match(said(scanning, alice, ['site scan', '-d', '3', 'INBOX']), /^deny: .*depth/);
  assert.match(said(scanning, alice, ['site scan', 'INBOX', 'x']), /^deny: .*note/);
  const named =
    '{ users: ["*"], allow: [{ command: site scan, where: { depth: { at_most: 3 }, note: any, mailbox: INBOX } }] }';
  assert.equal(said(named, alice, ['site scan', '-d', '3', 'INBOX', 'x']), 'allow');
  assert.match(said(named, alice, ['site scan', '-d', '4', 'INBOX', 'x']), /^deny/);
});

void test('a user in an argument is held to the users of the policy', () => {
  const policy = '{ users: ["*@example.org"], allow: [site give] }';
  assert.equal(said(policy, alice, ['site give', 'bob@example.org']), 'allow');
  assert.match(said(policy, alice, ['site give', 'bob@other.example']), /^deny: policy p does not hold/);
  assert.match(said(policy, alice, ['site give', '*@example.org']), /^deny/);
});

void test('neither a preset nor mode observe reaches one', () => {
  const observing = '{ mode: observe, users: ["*"], allow: [quota get] }';
  assert.equal(said(observing, alice, ['mailbox list']), 'allow');
  assert.match(said(observing, alice, ['site scan', 'INBOX']), /^deny/);
  assert.match(said(observing, '', ['site purge']), /^deny/);
  for (const name of readdirSync(presets)) {
    const text = readFileSync(`${presets}${name}`, 'utf8');
    const missing = [...text.matchAll(/^ {2}(\w+): \{ about: (?!.*default: )/gm)].map(([, key = '']) => key);
    const given = missing.map((key) => `${key}: ${key === 'expires' ? '2099-01-31' : 'x'}`).join(', ');
    const preset = `presets/${name.slice(0, -5)}`;
    const used = given === '' ? preset : `{ preset: ${preset}, with: { ${given} } }`;
    assert.match(said(`{ users: ["*"], use: [${used}] }`, alice, ['site scan', 'INBOX']), /^deny/, name);
  }
});

void test('grant never needs root_equivalent, and a server command of a plugin may concern everybody', () => {
  const rooted = '{ users: ["*"], allow: [{ command: site root, root_equivalent: true }] }';
  assert.equal(said(rooted, alice, ['site root']), 'allow');
  assert.throws(() => settingsOf('{ users: ["*"], allow: [site root] }'), /amounts to root/);
  assert.match(said('{ users: ["*"], allow: [site purge] }', '', ['site purge']), /^deny: .*all_users/);
  const forAll = '{ users: ["*"], allow: [{ command: site purge, all_users: true }] }';
  assert.equal(said(forAll, '', ['site purge']), 'allow');
  // With several backends it goes where the configuration says, even if it only reads.
  const second = ', mail2: { address: "unix:/m2", series: "2.4", shared_namespaces: [] }';
  const { obstacle } = assessed(forAll, '', ['site purge'], second);
  assert.ok(obstacle?.kind === 'unparsable');
  assert.equal(
    obstacle.reason,
    '"site purge" is a command of a plugin, and there is more than one backend; server_commands has no line "site purge: BACKEND"',
  );
});

void test('over HTTP it is known by its names, and refused with the reason', () => {
  const { added } = settingsOf(scanning).policies.get('p') ?? assert.fail();
  const parameters = [
    { name: 'user', value: { kind: 'string', text: alice } as const },
    { name: 'mailbox', value: { kind: 'string', text: 'INBOX' } as const },
  ];
  for (const name of ['siteScan', 'site scan', 'site-scan']) {
    const read = readNamedCommand({ name, parameters }, added);
    assert.ok(read.kind === 'line');
    const refusal = 'not-over-http: the columns of "site scan" are not known, and rows have names there';
    assert.equal(said(scanning, '', read.line), refusal, name);
  }
});

void test('every name of the catalog means the same command with the file as without', () => {
  const { added } = settingsOf(scanning).policies.get('p') ?? assert.fail();
  for (const name of commandNames()) {
    const words = [...name.split(' '), 'x'];
    assert.equal(resolveCommand('2.4', words, added)?.command, resolveCommand('2.4', words)?.command);
    assert.equal(resolveCommand('2.4', [name], added)?.command, resolveCommand('2.4', [name])?.command);
  }
});

void test('a text may hold no line that the backend could take for one', () => {
  const { added } = settingsOf(scanning).policies.get('p') ?? assert.fail();
  const text = Buffer.from('Subject: x\n\tvictim\tsite purge\n');
  assert.equal(createCommandSpotter().spots(text), false);
  assert.equal(createCommandSpotter(added).spots(text), true);
});
