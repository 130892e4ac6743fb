// Goal: a cell has what a policy may ever allow of that effect, neither what is over nor what is always denied; a row for each way in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTable } from '../../src/page/access-table.js';
import { parseSettings } from '../../src/rules/config/parse-settings.js';
import { compareAnswers } from '../kit/plain/approved.js';

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

/** A line for the effects, for each row, and for each policy. */
function shownAt(nowMs: number): string {
  const { settings, problems } = parseSettings('/etc/d.yaml', {
    readText: (path) => (path === '/etc/d.yaml' ? configuration : next),
    glob: () => [],
  });
  assert.ok(settings, JSON.stringify(problems));
  const { effects, rows, policies } = accessTable(settings, nowMs, (uid) =>
    uid === 1001 ? 'emil' : undefined,
  );
  const ofEffects = effects.map(({ name, commands }) => `${name}${commands > 0 ? '' : ' of no command'}`);
  return [ofEffects, ...rows, ...policies].map((each) => JSON.stringify(each)).join('\n');
}

void test('rows by who gets in, cells by effect, what may be asked for and who approves it', () => {
  compareAnswers('test/page/access-table.txt', [
    ['in June', () => shownAt(Date.UTC(2026, 5, 1))],
    ['in the December before: a rule that is not over yet counts', () => shownAt(Date.UTC(2025, 11, 1))],
  ]);
});
