// One section of a file whose rest has problems, and when it counts as not found.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClientSettings } from '../../../src/rules/config/parse-client.js';
import { findSettings, parseSettings } from '../../../src/rules/config/parse-settings.js';
import type { ReadFiles } from '../../../src/rules/config/read-files.js';
import { withoutDoubtful } from '../../../src/rules/config/without-doubtful.js';

function files(texts: Readonly<Record<string, string>>): ReadFiles {
  return {
    readText: (path) => {
      const text = texts[path];
      if (text === undefined) throw new Error('no such file');
      return text;
    },
    glob: () => {
      throw new Error('permission denied');
    },
  };
}

const standard = '/var/lib/dovegate/audit';
type Case = readonly [what: string, main: string, part: string | undefined, directory: string];
const said = 'audit: { directory: trail }';
const cases: readonly Case[] = [
  ['said', said, undefined, '/etc/trail'],
  ['the rest is broken', `${said}\nlisteners: 5\nnothing: [`, undefined, '/etc/trail'],
  ['another key is broken', 'audit: { directory: trail, keep: long, later: 1 }', undefined, '/etc/trail'],
  ['an include cannot be read', `${said}\ninclude: [part.yaml]`, undefined, '/etc/trail'],
  ['a folder cannot be read', `${said}\ninclude: [parts/*.yaml]`, undefined, '/etc/trail'],
  ['in an include', 'include: [part.yaml]', said, '/etc/trail'],
  ['not said', 'listeners: 5', undefined, standard],
  ['not said, and no key of it is right', 'audit: { keep: long }', undefined, standard],
  ['not said in what could be read', 'include: [part.yaml]', undefined, ''],
  ['not said in what could be listed', 'include: [parts/*.yaml]', undefined, ''],
  ['not said in what is YAML', 'listeners: [', undefined, ''],
  ['no map', 'audit: 5', undefined, ''],
  ['no path', 'audit: { directory: [] }', undefined, ''],
  ['said twice', `${said}\ninclude: [part.yaml]`, 'audit: { directory: other }', ''],
  ['a broken key', 'audit: { directory: trail, hmac_key: {} }', undefined, ''],
];

test('the section audit, table', () => {
  for (const [what, main, part, directory] of cases) {
    const read = files({ '/etc/main.yaml': main, ...(part !== undefined && { '/etc/part.yaml': part }) });
    const { settings, hiding } = findSettings('/etc/main.yaml', read);
    assert.equal(hiding.length > 0 ? '' : settings?.audit.directory, directory, what);
  }
  assert.equal(findSettings('/etc/none.yaml', files({})).hiding.length, 1);
});

test('state, beside the section audit', () => {
  const stateOf = (main: string): unknown => {
    const found = findSettings('/etc/main.yaml', files({ '/etc/main.yaml': `${said}\n${main}` }));
    assert.deepEqual(found.hiding, []);
    return found.isStateSaid ? found.settings?.state : undefined;
  };
  assert.equal(stateOf('listeners: 5\nstate: kept'), '/etc/kept');
  assert.equal(stateOf('listeners: 5'), '/var/lib/dovegate');
  assert.equal(stateOf('state: []'), undefined, 'a broken value is no default');
  assert.equal(stateOf('include: [part.yaml]'), undefined, 'it may stand in what could not be read');
});

test('the section admin, where the rest is broken', () => {
  const main = 'admin: { unix: /run/admin.sock }\nlisteners: 5\n';
  const adminOf = (texts: Readonly<Record<string, string>>, file = '/etc/main.yaml') =>
    findSettings(file, files(texts)).settings?.admin;
  assert.equal(adminOf({ '/etc/main.yaml': main })?.unix, '/run/admin.sock');
  assert.equal(adminOf({ '/etc/main.yaml': 'listeners: 5' }), undefined);
  assert.equal(adminOf({}, '/etc/none.yaml'), undefined);
});

test('what is left of a file with errors; backends and receivers only where no error can be part of them', () => {
  const sound = `listeners: { a: { unix: a.sock, policy: p } }
backends:
  m1: { address: "unix:/run/m1" }
  m2: { address: "192.0.2.1:24245", password_file: m2, key_pins: ["sha256:${'ab'.repeat(32)}"] }
routes: [{ users: ["*"], backend: m1 }]
policies: { p: { users: ["*"], allow: [quota get] } }
audit: { directory: trail, ship: [{ syslog: "logs.example.com:6514" }] }
admin: { unix: admin.sock }
`;
  const left = (from: string, to: string): readonly string[] => {
    const read = files({ '/etc/main.yaml': sound.replace(from, to) });
    const errors = parseSettings('/etc/main.yaml', read).problems.filter(
      ({ severity }) => severity === 'error',
    );
    assert.ok(errors.length > 0, to);
    const { settings } = findSettings('/etc/main.yaml', read);
    const found = settings && withoutDoubtful(settings, errors);
    assert.equal(found?.admin?.unix, '/etc/admin.sock', to);
    assert.equal(found.audit.directory, '/etc/trail', to);
    return [...found.backends.map(({ name }) => name), ...found.audit.ship.map(({ kind }) => kind)];
  };
  assert.deepEqual(left('quota get', 'quota gett'), ['m1', 'm2', 'syslog']);
  assert.deepEqual(left('policy: p }', 'policy: q }'), ['m1', 'm2', 'syslog']);
  assert.deepEqual(left('unix: a.sock', 'unix: 5, mode: x'), ['m1', 'm2', 'syslog']);
  assert.deepEqual(left('key_pins: ["', 'key_pins: ["x'), ['m1', 'syslog']);
  assert.deepEqual(left('password_file: m2,', ''), ['m1', 'syslog']);
  assert.deepEqual(left('6514"', '6514", ca: []'), ['m1', 'm2']);
  assert.deepEqual(left('directory: trail,', 'directory: trail, keep: long,'), ['m1', 'm2']);
  // A key in the wrong place, a file that was not read: either may be what a backend demands.
  assert.deepEqual(left('backends:\n', 'backends:\n  key_pins: ["sha256:x"]\n'), []);
  assert.deepEqual(left('backends:\n', 'key_pins: []\nbackends:\n'), []);
  assert.deepEqual(left('admin:', 'include: [part.yaml]\nadmin:'), []);
  assert.deepEqual(left('admin: { unix: admin.sock }', 'admin: { unix: admin.sock }\nnothing: ['), []);
  assert.equal(findSettings('/etc/none.yaml', files({})).settings, undefined);
});

void test('a socket, or an address with who we are there', () => {
  const one = parseClientSettings('/etc/dovegate/client.yaml', 'socket: run/support.sock\n');
  assert.equal(one.settings?.at, '/etc/dovegate/run/support.sock');
  assert.equal(one.settings?.tls, 'starttls');
  const other = parseClientSettings(
    '/etc/dovegate/client.yaml',
    'address: mail.example.com:24246\ntls: implicit\nca: ca.pem\naccount: migrator\npassword_file: /run/secret\n',
  );
  assert.deepEqual(other.problems, []);
  assert.equal(other.settings?.at, 'mail.example.com:24246');
  assert.equal(other.settings?.caFile, '/etc/dovegate/ca.pem');
  assert.equal(other.settings?.passwordFile, '/run/secret');
});

void test('what is wrong is told with its place', () => {
  const wrong: [string, RegExp][] = [
    ['sockte: x\n', /client\.yaml:1:1: .*socket/],
    ['tls: maybe\n', /client\.yaml:1:1: tls: .*starttls/],
    ['socket: a\naddress: b:1\n', /both/],
    ['socket: [\n', /client\.yaml:/],
  ];
  for (const [text, expected] of wrong) {
    const { settings, problems } = parseClientSettings('client.yaml', text);
    assert.equal(settings, undefined, text);
    assert.match(problems.join('\n'), expected);
  }
});
