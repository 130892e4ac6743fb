// Goal: whoever allows a command that may leave the mailbox out is told that a backend must say its shared namespaces for that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sound, told } from './sound.js';

const unsaid = sound.replace(', shared_namespaces: []', '');

void test('a backend that does not say its shared namespaces is told where a rule lets mailboxes be left out', () => {
  const warning = (command: string, line: number): string =>
    `5:3: warning: backends.mail1: does not say its shared_namespaces ([] for none), so "${command}" without a mailbox is refused (/etc/dovegate/d.yaml:${line})`;
  const withRule = (rule: string): readonly string[] => told(unsaid.replace('quota get', rule));
  assert.deepEqual(withRule('mailbox list'), [warning('mailbox list', 11)]);
  assert.deepEqual(withRule('{ command: fetch, where: { field: [uid] } }'), [warning('fetch', 11)]);
  for (const rule of [
    'mailbox status',
    '{ command: mailbox list, shared: true }',
    '{ command: mailbox list, where: { mailbox-mask: ["INBOX*"] } }',
    '{ command: expunge, where: { query: { mailbox: [Trash] } } }',
  ]) {
    assert.deepEqual(withRule(rule), [], rule);
  }
  assert.deepEqual(told(sound.replace('quota get', 'search')), []);
});

void test('a mailbox that is denied may have other names while a backend does not list its namespaces', () => {
  const withDeny = (rule: string, backend: string): readonly string[] =>
    told(
      sound
        .replace('shared_namespaces: []', backend)
        .replace('allow: [quota get]', `allow: [quota get]\n    deny: [${rule}]`),
    );
  const warning =
    '5:3: warning: backends.mail1: does not list its namespaces, so a mailbox that is denied may have names that pass (/etc/dovegate/d.yaml:12)';
  const listed = 'namespaces: [{ prefix: "", separator: "/", inbox: true }]';
  for (const rule of [
    '{ command: mailbox delete, where: { mailbox: INBOX } }',
    '{ command: mailbox status, where: { mailbox-mask: { regex: "In.*" } } }',
    '{ command: fetch, where: { query: { mailbox: Trash } } }',
  ]) {
    assert.deepEqual(withDeny(rule, 'shared_namespaces: []'), [warning], rule);
    assert.deepEqual(withDeny(rule, listed), [], rule);
  }
  for (const rule of ['mailbox delete', '{ command: mailbox delete, where: { recursive: any } }']) {
    assert.deepEqual(withDeny(rule, 'shared_namespaces: []'), [], rule);
  }
});
