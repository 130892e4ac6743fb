// Goal: a cell has what a policy may ever allow of that effect, neither what is over nor what is always denied; a row for each way in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTable } from '../../src/page/access-table.js';
import { parseSettings } from '../../src/rules/config/parse-settings.js';

const configuration = `version: 1
listeners:
  support:
    unix: support.sock
    policies: [{ peers: { users: [1001, 1002], groups: [helpdesk] }, policy: support }, { policy: watch }]
backends:
  mail1: { address: "127.0.0.1:24245", tls: off, password_file: mail1.password }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow:
      - { command: quota get, all_users: true }
      - { command: quota recalc, expires: 2026-01-01 }
      - mailbox delete
      - { command: search, content: true }
      - { command: expunge, where: { query: { mailbox: [Trash] } }, reason: required }
    deny: [mailbox delete]
    limits: { rate: 60/minute }
    shadow: next.yaml
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 1h, uses: 3, reason: { regex: "ticket [0-9]+" } }
      - { command: mailbox delete, for: 1h }
  watch: { mode: observe, users: ["*"], allow: [{ command: quota get, all_users: true }] }
  leads: { users: ["*@example.com"], allow: [mailbox list], approve: [support] }
persons: { carol: { users: [1003] } }
`;

const next = 'users: ["*"]\nallow: [quota get]\n';

function tableOf(nowMs: number) {
  const { settings, problems } = parseSettings('d.yaml', {
    readText: (path) => (path === 'd.yaml' ? configuration : next),
    glob: () => [],
  });
  assert.ok(settings, JSON.stringify(problems));
  return accessTable(settings, nowMs, (uid) => (uid === 1001 ? 'emil' : undefined));
}

void test('rows by who gets in, cells by effect', () => {
  const { effects, rows, policies } = tableOf(Date.UTC(2026, 5, 1));
  const effectNames = effects.map(({ name }) => name);
  assert.deepEqual(effectNames, ['read', 'session', 'write', 'admin', 'destroy']);
  assert.ok(effects.every(({ commands }) => commands > 0));
  const people = 'users emil (1001) 1002 groups helpdesk';
  const listener = { kind: 'listener', listener: 'support', name: 'support' };
  assert.deepEqual(rows, [
    { ...listener, policy: 'support', people },
    { ...listener, policy: 'watch' },
  ]);
  const cells = policies.map(({ name, cells: all }) => [
    name,
    ...all.map(({ commands, mayAll }) => `${commands.join(', ')}${mayAll ? ' *' : ''}`),
  ]);
  assert.deepEqual(cells, [
    ['support', 'quota get, search', '', '', '', 'expunge'],
    ['watch', 'quota get *', '', '', '', ''],
    ['leads', 'mailbox list', '', '', '', ''],
  ]);
  const contents = policies.map(({ content }) => content.commands);
  assert.deepEqual(contents, [['search'], [], []]);
  const [support, watch] = policies;
  assert.match(support?.shadow ?? '', /next\.yaml:1$/);
  assert.equal(watch?.isObserving, true);
  assert.deepEqual(support?.limits, ['60 a minute']);
  assert.deepEqual(support?.allow[0], { command: 'quota get', effect: 'read', says: [], place: 'd.yaml:14' });
  assert.deepEqual(support?.allow[4]?.says, [
    'query: every mail it selects has mailbox Trash',
    'no other options',
    'the client must say why',
  ]);
});

void test('what may be asked for, in the words of `can`, and who approves it', () => {
  const [support, watch, leads] = tableOf(Date.UTC(2026, 5, 1)).policies;
  assert.deepEqual(support?.onRequest, [
    {
      command: 'fetch',
      effect: 'read',
      content: 'yes',
      says: [
        'approved by 1 person, for 1h, for one command line, 3 times',
        'also what mails say',
        'the reason of the request matches ticket [0-9]+, as "ticket 1"',
      ],
      place: 'd.yaml:23',
    },
    {
      command: 'mailbox delete',
      effect: 'destroy',
      says: ['approved by 1 person, for 1h, for one command line, once'],
      place: 'd.yaml:24',
    },
  ]);
  // What is always denied is not given on request either.
  const requestable = support.cells.map(({ onRequest }) => onRequest);
  assert.deepEqual(requestable, [['fetch'], [], [], [], []]);
  assert.deepEqual(support.content.onRequest, ['fetch']);
  assert.deepEqual(support.approvers, ['leads']);
  assert.deepEqual(leads?.approve, ['support']);
  assert.deepEqual([watch?.onRequest, watch?.approvers], [[], []]);
});

void test('a rule that is not over yet counts', () => {
  const [support] = tableOf(Date.UTC(2025, 11, 1)).policies;
  assert.deepEqual(support?.cells[2]?.commands, ['quota recalc']);
});
