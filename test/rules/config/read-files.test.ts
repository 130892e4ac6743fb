// Goal: several files become one configuration in which a name is defined once, and every problem names its file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatListenerSocket } from '../../../src/rules/config/settings.js';
import { formatTarget } from '../../../src/rules/policy/policy.js';
import { memoryFiles, sound } from './sound.js';

const main = `include: [conf.d/*.yaml]\n${sound}`;

function parse(files: Record<string, string>) {
  const { settings, problems } = parseSettings('/etc/d.yaml', memoryFiles(files));
  const told = problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
  return { settings, problems, told };
}

/** With one file included. */
const parseWith = (included: string, text = main) =>
  parse({ '/etc/d.yaml': text, '/etc/conf.d/a.yaml': included });

void test('included files add listeners, policies and routes; paths are relative to the file that names them', () => {
  const { settings, told } = parse({
    '/etc/d.yaml': main.replace('users: ["*"]', 'users: ["*@example.com"]'),
    '/etc/conf.d/b.yaml': 'routes: [{ users: ["*"], backend: mail2 }]\n',
    '/etc/conf.d/a.yaml': `version: 1
listeners: { billing: { unix: b.sock, policy: billing } }
backends: { mail2: { address: "unix:d.sock" } }
policies: { billing: { users: ["*@example.org"], allow: [quota get] } }
`,
    '/etc/conf.d/ignored.txt': 'nonsense: [',
  });
  assert.deepEqual(told, []);
  const sockets = settings?.listeners.map(({ name, socket }) => `${name} ${formatListenerSocket(socket)}`);
  assert.deepEqual(sockets, ['support unix:/run/s.sock', 'billing unix:/etc/conf.d/b.sock']);
  assert.equal(settings?.routes.map((route) => formatTarget(route.target)).join(), 'mail1,mail2');
  assert.deepEqual(settings?.backends[1]?.address, { kind: 'unix', path: '/etc/conf.d/d.sock' });
  assert.equal(settings?.policies.get('billing')?.allow[0]?.place.file, '/etc/conf.d/a.yaml');
});

void test('a name that two files define is a problem in the second', () => {
  const again =
    'listeners: { support: { unix: x.sock, policy: support } }\nlimits: { queue: 6, line: 1KiB }\n';
  const { told, settings } = parseWith(again, `${main}limits: { queue: 5 }\n`);
  assert.equal(settings, undefined);
  assert.deepEqual(told, [
    '/etc/conf.d/a.yaml:1:14: is already defined in /etc/d.yaml:4; leave one of them',
    '/etc/conf.d/a.yaml:2:11: is already defined in /etc/d.yaml:13; leave one of them',
  ]);
});

void test('a value that two files set is a problem; so is another version', () => {
  const { told } = parseWith('state: /var/b\nversion: 2\n', `${main}state: /var/a\n`);
  assert.deepEqual(told, [
    '/etc/conf.d/a.yaml:1:1: is already set in /etc/d.yaml:13; leave one of them',
    '/etc/conf.d/a.yaml:2:1: is already set in /etc/d.yaml:2; leave one of them',
  ]);
});

void test('problems inside an included file are told at their place there', () => {
  const { told } = parseWith('\n\nlimits: { queu: 1 }\n');
  assert.deepEqual(told, ['/etc/conf.d/a.yaml:3:11: "queu" is not a key here; did you mean queue?']);
});

void test('an included file cannot include, and must be a map', () => {
  const { told } = parse({
    '/etc/d.yaml': main,
    '/etc/conf.d/a.yaml': 'include: [x.yaml]\n',
    '/etc/conf.d/b.yaml': '- x\n',
  });
  assert.deepEqual(told, [
    '/etc/conf.d/a.yaml:1:1: only the main file can include others; move this there',
    '/etc/conf.d/b.yaml:1:1: the file must be a map of keys, `KEY: VALUE` a line',
  ]);
});

void test('a pattern may find nothing, a plain name may not', () => {
  assert.deepEqual(parse({ '/etc/d.yaml': main }).told, []);
  const { told } = parse({ '/etc/d.yaml': main.replace('conf.d/*.yaml', 'more.yaml') });
  assert.deepEqual(told, ['/etc/d.yaml:1:11: /etc/more.yaml cannot be read: no such file']);
});

void test('a main file that is not there is one problem', () => {
  const { told } = parse({});
  assert.deepEqual(told, ['/etc/d.yaml:1:1: /etc/d.yaml cannot be read: no such file']);
});

void test('a file that two patterns find is read once', () => {
  const twice = main.replace('[conf.d/*.yaml]', '[conf.d/*.yaml, conf.d/a*]');
  assert.deepEqual(parseWith('log: { level: debug }\n', twice).told, []);
});

void test('a list of 130,000 items in an included file joins that of the main file', () => {
  const { problems } = parseWith(`tests:\n${'- 1\n'.repeat(130_000)}`, `${main}tests: []\n`);
  assert.ok(problems.length > 0);
});
