// The table of the verbs is what every face of access on request has: each verb is a command on the wire, has the tab rows of one, a path
// over HTTP and a subcommand; the page has the steps. What must not happen: an argument that one face sends and another one refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textsOf } from '../../../src/client/access.js';
import { ownCommands, resolveOwnCommand } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import {
  type AccessArgument,
  accessArguments,
  accessSteps,
  allArguments,
  allVerbs,
  countMax,
  isAccessStep,
  isAccessVerb,
  isPositional,
  memberOf,
  optionOf,
  verbRow,
  wantedOf,
  wordsOf,
} from '../../../src/doveadm/verbs/verbs.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { endpointRow } from '../../../src/page/answers/endpoints.js';

const values = {
  after: '01K',
  to: 'anna@support',
  users: ['--uses=9', 'bob'],
  forMs: 90_000,
  uses: 3,
  quietMs: 60_000,
  reason: '-x',
  id: '-1',
  command: ['fetch', '--', 'uid', '--all'],
} as const satisfies Readonly<Record<AccessArgument, unknown>>;

void test('what the words of a verb say is what is read from them, whatever a value begins with', () => {
  for (const verb of allVerbs) {
    const { takes } = verbRow(verb);
    const words = wordsOf(new Map(takes.map((name) => [name, textsOf(name, values[name])])));
    const found = resolveOwnCommand([`dovegate ${verb}`, ...words]) ?? assert.fail(verb);
    const read = parseArguments('2.4', found.command, found.args);
    assert.equal(read.kind, 'parsed', verb);
    if (read.kind !== 'parsed') continue;
    assert.deepEqual(
      new Map(takes.map((name) => [name, read.values.get(optionOf(name))])),
      new Map(takes.map((name) => [name, textsOf(name, values[name])])),
      verb,
    );
  }
});

void test('each verb is a command of our own, and each step an endpoint of the page', () => {
  const names = ownCommands.map(({ name }) => name);
  for (const verb of allVerbs) assert.ok(names.includes(`dovegate ${verb}`), verb);
  assert.deepEqual(accessSteps, ['approve', 'refuse', 'revoke', 'review']);
  for (const step of accessSteps) {
    const { route, roles, isEnd = false } = endpointRow(step);
    assert.equal(route, `POST /api/approvals/:id/${step}`);
    assert.deepEqual(roles, ['approve']);
    assert.equal(isEnd, verbRow(step).costs === 'end', step);
  }
  for (const name of ['', 'toString', '__proto__', 'can'])
    assert.deepEqual([isAccessVerb(name), isAccessStep(name)], [false, false], name);
  assert.ok(!isAccessStep('grant'));
});

void test('two arguments have no option and no member in common', () => {
  assert.equal(new Set(allArguments.map(optionOf)).size, allArguments.length);
  assert.equal(new Set(allArguments.map(memberOf)).size, allArguments.length);
  const names = allArguments.map((name) => [name, optionOf(name), memberOf(name)].join(' '));
  assert.deepEqual(names, [
    'after after after',
    'to to to',
    'users user users',
    'forMs for for',
    'uses uses uses',
    'quietMs quiet quiet',
    'reason reason reason',
    'id id id',
    'command command command',
  ]);
  assert.deepEqual(allArguments.filter(isPositional), ['id', 'command']);
});

void test('each shape, at its ends', () => {
  for (const name of allArguments) {
    assert.equal(wantedOf(name, values[name]), undefined, name);
    assert.equal(wantedOf(name, undefined), undefined, name);
    const { shape } = accessArguments[name];
    const wrong: unknown[] = [null, {}, true, [1], shape === 'duration' || shape === 'count' ? '1' : 1];
    for (const value of wrong) assert.match(wantedOf(name, value) ?? '', /^a /, `${name} ${String(value)}`);
  }
  for (const [name, most] of [
    ['uses', countMax],
    ['forMs', 1e12],
  ] as const) {
    for (const value of [1, most]) assert.equal(wantedOf(name, value), undefined);
    for (const value of [0, -1, 1.5, most + 1, Number.NaN, 1e300])
      assert.notEqual(wantedOf(name, value), undefined, `${name} ${value}`);
  }
  // bounds.reasonBytes
  assert.equal(wantedOf('reason', 'é'.repeat(bounds.reasonBytes / 2)), undefined);
  assert.notEqual(wantedOf('reason', `${'é'.repeat(bounds.reasonBytes / 2)}x`), undefined);
});
