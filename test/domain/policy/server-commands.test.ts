// Goal: a command that names no mailbox user never goes to a backend by chance.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  routeServerCommand,
  type ServerCommand,
  type ServerCommandRules,
  type ServerRoute,
  type UnroutableCode,
} from '../../../src/domain/policy/server-commands.js';

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

const refusedFor = (code: UnroutableCode, name: string): ServerRoute => ({
  kind: 'refused',
  code,
  message: name,
});

// [what, command, where it goes; of a refusal, its code and the command that its message names]
const cases: readonly (readonly [string, ServerCommand, ServerRoute])[] = [
  ['reading: to all', asked('who', { everybody: 'listing' }), { kind: 'all' }],
  ['a line for one backend', asked('process status'), { kind: 'backend', backend: 'mail2' }],
  ['a change with a line', asked('reload', { effect: 'admin' }), { kind: 'all' }],
  ['a change without one', asked('stop', { effect: 'admin' }), refusedFor('no-server-route', 'stop')],
  [
    'reading that a parameter makes a change of',
    asked('stats dump', { effect: 'destroy' }),
    refusedFor('no-server-route', 'stats dump'),
  ],
  [
    'by the users',
    asked('kick', { effect: 'session', users: ['a@x', 'b@x'] }),
    { kind: 'users', users: ['a@x', 'b@x'] },
  ],
  ['by a mask', asked('kick', { users: ['a@x'], masks: ['*'] }), refusedFor('no-single-user', 'kick')],
  [
    'by nobody',
    asked('auth cache flush', { everybody: 'listing' }),
    refusedFor('no-single-user', 'auth cache flush'),
  ],
  ['user, by itself', asked('user', { users: ['a@x'] }), { kind: 'users', users: ['a@x'] }],
  ['user with a mask', asked('user', { masks: ['*'] }), refusedFor('no-single-user', 'user')],
];

for (const [what, command, expected] of cases) {
  void test(what, () => {
    const route = routeServerCommand(rules, three, command);
    if (route.kind !== 'refused' || expected.kind !== 'refused') return assert.deepEqual(route, expected);
    assert.equal(route.code, expected.code);
    assert.ok(route.message.includes(`"${expected.message}: BACKEND"`), route.message);
  });
}

void test('with one backend there is no question', () => {
  for (const [, command] of cases) {
    assert.deepEqual(routeServerCommand(rules, ['mail1'], command), { kind: 'backend', backend: 'mail1' });
  }
});
