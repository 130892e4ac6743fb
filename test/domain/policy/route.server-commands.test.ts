// Goal: a command that names no mailbox user never goes to a backend by chance.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames, defaultCharacters } from '../../../src/domain/identity/user-name.js';
import { GlobList } from '../../../src/domain/names/glob.js';
import type { ServerCommandRules } from '../../../src/domain/policy/policy.js';
import {
  createRoutingTable,
  homeOfServerCommand,
  nothingAsked,
  type ObstacleCode,
  type ServerCommand,
} from '../../../src/domain/policy/route.js';

const rules: ServerCommandRules = {
  default: { kind: 'all' },
  byCommand: new Map([
    ['kick', { kind: 'by-user' }],
    ['auth cache flush', { kind: 'by-user' }],
    ['reload', { kind: 'all' }],
    ['process status', { kind: 'backend', backend: 'mail2' }],
  ]),
};
const three = ['mail1', 'mail2', 'mail3'];

function asked(name: string, more: Partial<ServerCommand> = {}): ServerCommand {
  return { command: { name }, effect: 'read', users: [], masks: [], everybody: 'none', ...more };
}

/** Of a refusal, its code and the command that its message names. */
type Expected = readonly string[] | readonly [ObstacleCode, string];

// [what, command, the backends that it goes to; or the refusal]
const cases: readonly (readonly [string, ServerCommand, Expected])[] = [
  ['reading: to all', asked('who', { everybody: 'listing' }), three],
  ['a line for one backend', asked('process status'), ['mail2']],
  ['a change with a line', asked('reload', { effect: 'admin' }), three],
  ['a change without one', asked('stop', { effect: 'admin' }), ['no-server-route', 'stop']],
  [
    'reading that a parameter makes a change of',
    asked('stats dump', { effect: 'destroy' }),
    ['no-server-route', 'stats dump'],
  ],
  ['by the users', asked('kick', { effect: 'session', users: ['a@x', 'b@x'] }), ['mail3']],
  ['by a mask', asked('kick', { users: ['a@x'], masks: ['*'] }), ['no-single-user', 'kick']],
  ['by nobody', asked('auth cache flush', { everybody: 'listing' }), ['no-single-user', 'auth cache flush']],
  ['user, by itself', asked('user', { users: ['a@x'] }), ['mail3']],
  ['user with a mask', asked('user', { masks: ['*'] }), ['no-single-user', 'user']],
];

function homesOf(command: ServerCommand, names: readonly string[]): Expected | string {
  const table = createRoutingTable({
    routes: [{ users: new GlobList(['*']), target: { kind: 'backend', backend: 'mail3' } }],
    serverCommands: rules,
    backends: names.map((name) => ({ name, series: undefined, sharedNamespaces: undefined })),
    userNames: createUserNames({ characters: defaultCharacters }),
    asksUserdb: false,
  });
  const home = homeOfServerCommand(command, table, nothingAsked);
  if (home.kind === 'to') return home.backends.map(({ name }) => name);
  if (home.kind !== 'nowhere' || home.obstacle.kind !== 'unparsable') return home.kind;
  const { code, reason } = home.obstacle;
  return [code, /no line "(.*): BACKEND"$/.exec(reason)?.[1] ?? reason];
}

for (const [what, command, expected] of cases) {
  void test(what, () => assert.deepEqual(homesOf(command, three), expected));
}

void test('with one backend there is no question', () => {
  for (const [, command] of cases) assert.deepEqual(homesOf(command, ['mail1']), ['mail1']);
});
