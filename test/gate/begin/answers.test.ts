// Goal: an answer is read as it was meant, or refused with one sentence that says what to type.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type InitOptions,
  linesOf,
  parseBackends,
  parseDirectory,
  parsePreset,
  parseTeams,
  questionsFor,
} from '../../../src/gate/begin/answers.js';
import type { Machine } from '../../../src/gate/begin/machine.js';
import { type DovecotFacts, parseDoveconf } from '../../../src/rules/setup/doveconf.js';
import { printed } from './examples.js';

const uids: Readonly<Record<string, number>> = { root: 0, anna: 1000, bert: 1001, dovegate: 990 };
const gids: Readonly<Record<string, number>> = { support: 2000, helpdesk: 2001 };

function machine(more: Partial<Machine> = {}): Machine {
  return {
    isRoot: true,
    person: undefined,
    ownName: 'root',
    uidOf: (name) => uids[name],
    gidOf: (name) => gids[name],
    daemonUser: 'dovegate',
    dovecot: undefined,
    noDovecot: 'no Dovecot was found here',
    mailUsers: [],
    mailUser: undefined,
    noMailUsers: undefined,
    presets: [
      { name: 'support-desk', about: 'A person.' },
      { name: 'monitoring', about: 'Numbers.' },
    ],
    ...more,
  };
}

/** In one line. */
const refuses = (run: () => unknown, said: RegExp, of?: string): void =>
  assert.throws(
    run,
    (fault) => fault instanceof Error && !fault.message.includes('\n') && said.test(fault.message),
    of,
  );

void test('a team: users, groups with % in front, and the group of its name where nobody is named', () => {
  const team = (text: string) => parseTeams(text, machine(), 'dovegate')[0];
  assert.deepEqual(team('support'), { team: 'support', users: ['root'], groups: ['support'] });
  assert.deepEqual(team('desk anna, bert %helpdesk'), {
    team: 'desk',
    users: ['root', 'anna', 'bert'],
    groups: ['helpdesk'],
  });
  // Without root nobody but the one who runs the daemon sets it up.
  assert.deepEqual(parseTeams('desk bert', machine({ isRoot: false }), 'anna')[0].users, ['anna', 'bert']);
  refuses(() => team('desk'), /who is in "desk"\?.*there is no group "desk"/);
  refuses(() => team('desk carla'), /no user "carla"/);
  refuses(() => team('desk %admins'), /no group "admins"; .*groupadd/);
  refuses(() => team('admin anna'), /operators/);
});

void test('several teams: each with its members, and no name twice', () => {
  const lines = linesOf({ team: ['support=anna,bert', 'desk=%helpdesk'], observe: true, mailUsers: '*' });
  assert.deepEqual(lines, { team: 'support anna,bert; desk %helpdesk', preset: '*' });
  assert.deepEqual(parseTeams(lines.team ?? '', machine(), 'dovegate'), [
    { team: 'support', users: ['root', 'anna', 'bert'], groups: [] },
    { team: 'desk', users: ['root'], groups: ['helpdesk'] },
  ]);
  refuses(() => parseTeams('desk anna; desk bert', machine(), 'dovegate'), /"desk" is named twice/);
});

void test('hostile names of a team are refused: they become the name of a file', () => {
  for (const name of ['../x', 'a/b', '.hidden', '-x', '', `a${'b'.repeat(64)}`, 'ä', '"', '$(id)'])
    refuses(
      () => parseTeams(`${name} anna`, machine(), 'dovegate'),
      /name of a team|no user|who is in "anna"/,
      name,
    );
});

void test('a directory is an absolute path in the end, and holds nothing that a shell reads', () => {
  assert.equal(parseDirectory('/etc/dovegate/'), '/etc/dovegate');
  assert.equal(parseDirectory('/etc/x/../dovegate'), '/etc/dovegate');
  for (const text of ['', ' ', '/a b', '/a;b', '/$(id)', '/a\nb', '/\u202e'])
    refuses(() => parseDirectory(text), /^a directory is/, JSON.stringify(text));
});

const parseBackend = (text: string, options: InitOptions, machineThere: Machine, user: string) =>
  parseBackends(text, options, machineThere, user)[0] ?? assert.fail('none');

void test('a backend: local, a socket, or a host over TLS', () => {
  const at = (text: string, dovecot?: DovecotFacts, user = 'dovegate') =>
    parseBackend(text, {}, machine({ dovecot }), user);
  const place = { name: 'mail1', users: ['*'], sharedNamespaces: undefined };
  const nothingKnown = {
    ...place,
    kind: 'unix',
    path: '/run/dovecot/dovegate-doveadm',
    listenerName: 'dovegate-doveadm',
    series: undefined,
    nameCase: 'fold',
    isReady: false,
  };
  assert.deepEqual(at('local'), nothingKnown);
  assert.deepEqual(at('unix:/srv/d.sock'), {
    ...nothingKnown,
    path: '/srv/d.sock',
    listenerName: '/srv/d.sock',
  });
  const inside = at('unix:/run/dovecot/other/gate');
  assert.equal(inside.kind === 'unix' && inside.listenerName, 'other/gate');
  assert.deepEqual(at('mail1.example.com:24245'), {
    ...place,
    kind: 'tcp',
    host: 'mail1.example.com',
    port: 24_245,
    tls: 'starttls',
    caFile: undefined,
    serverName: 'mail1.example.com',
  });
  assert.equal(at('[2001:db8::1]:24245').kind, 'tcp');
  for (const text of ['', 'mail1', 'mail1:0', 'mail1:70000', '::1:24245', 'a b:1', 'unix:x'])
    refuses(() => at(text), /^a backend is/, text);
  // A blank stands between Dovecots.
  refuses(() => at('unix:/a b'), /^which mail users are on unix:\/a\?/);
  refuses(() => parseBackend('local', { ca: 'x' }, machine(), 'dovegate'), /--ca is for a backend HOST:PORT/);
});

void test('several Dovecots: each with its mail users, and the last with all others', () => {
  const at = (text: string, options: InitOptions = {}) => parseBackends(text, options, machine(), 'dovegate');
  assert.deepEqual(
    at('a.example:24245=*@example.com,bob@example.net  b.example:24246').map(({ name, users }) => [
      name,
      users,
    ]),
    [
      ['mail1', ['*@example.com', 'bob@example.net']],
      ['mail2', ['*']],
    ],
  );
  assert.deepEqual(
    ['none', 'shared/, Public/', undefined].map(
      (sharedNamespaces) =>
        at('a.example:24245', { ...(sharedNamespaces && { sharedNamespaces }) })[0]?.sharedNamespaces,
    ),
    [[], ['shared/', 'Public/'], undefined],
  );
  refuses(
    () => at('a.example:1 b.example:1'),
    /^which mail users are on a\.example:1\? .* as a\.example:1=\*@example\.com$/,
  );
  refuses(() => at('a.example:1=* b.example:1', { serverName: 'x' }), /--server-name is for one Dovecot/);
  refuses(() => at('a.example:1=x;y b.example:1'), /a pattern of mail users/);
});

void test('a Dovecot that listens already as it should is taken as it is; with another user or mode it is not', () => {
  const facts = (name: string): DovecotFacts => parseDoveconf(printed(name)) ?? assert.fail(name);
  for (const name of ['2.3', '2.4']) {
    const of = (user: string, at = 'local') => parseBackend(at, {}, machine({ dovecot: facts(name) }), user);
    const ready = of('nobody');
    assert.ok(ready.kind === 'unix' && ready.isReady);
    assert.equal(ready.path, '/srv/lab/run/dovegate-doveadm');
    const asRoot = of('root');
    assert.ok(asRoot.kind === 'unix' && asRoot.isReady);
    assert.equal(asRoot.path, '/srv/lab/run/doveadm-server');
    const other = of('dovegate');
    assert.ok(other.kind === 'unix' && !other.isReady);
    // Mode 0666: it would ask for a password.
    const open = of('root', 'unix:/srv/lab/run/doveadm-auth');
    assert.ok(open.kind === 'unix' && !open.isReady);
  }
});

void test('a role: its parameters, and patterns of mail users, by default those of the Dovecot', () => {
  const role = (text: string, mailUsers: readonly string[] = []) => parsePreset(text, machine({ mailUsers }));
  assert.deepEqual(role('support-desk *').mailUsers, ['*']);
  assert.deepEqual(role('support-desk', ['*@example.com']).mailUsers, ['*@example.com']);
  assert.deepEqual(role('monitoring probe=c@example.com fields=a,b *@example.com,*@example.net'), {
    preset: 'monitoring',
    parameters: new Map([
      ['probe', ['c@example.com']],
      ['fields', ['a', 'b']],
    ]),
    mailUsers: ['*@example.com', '*@example.net'],
  });
  refuses(() => role('suport-desk'), /did you mean support-desk\?/);
  refuses(() => role(''), /there are: support-desk, monitoring/);
});

void test('mail users that are not known are asked for, and never all', () => {
  const unknown = machine({ noMailUsers: `"doveadm user '*'" fails: Dovecot may be stopped` });
  refuses(
    () => parsePreset('support-desk', unknown),
    /^in whose mailboxes\? .*Dovecot may be stopped.*--mail-users/,
  );
  refuses(() => parsePreset('monitoring probe=c@example.com', machine()), /^in whose mailboxes\? /);
  const question = questionsFor(unknown, undefined)[3];
  assert.equal(question?.fallback, undefined);
  assert.match(question?.whyNone ?? '', /Dovecot may be stopped/);
  assert.equal(question?.help.at(-1), question?.whyNone);
  assert.equal(questionsFor(machine({ mailUsers: ['*@example.com'] }), undefined)[3]?.whyNone, undefined);
});

void test('five questions; what cannot be guessed has no default', () => {
  const fallbacks = (more: Partial<Machine>, directory?: string) =>
    questionsFor(machine(more), directory).map(({ fallback }) => fallback);
  assert.deepEqual(fallbacks({ gidOf: () => undefined }), [
    '/etc/dovegate',
    undefined,
    undefined,
    undefined,
    '/var/lib/dovegate/audit',
  ]);
  const dovecot = parseDoveconf(printed('2.4'));
  assert.deepEqual(fallbacks({ dovecot, mailUsers: ['*@example.com'] }, '/srv/gate').slice(1), [
    'local',
    'support %support',
    'support-desk *@example.com',
    '/srv/gate/audit',
  ]);
});
