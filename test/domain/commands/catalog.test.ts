// Goal: commands and parameters are found by their exact names, as the same frozen objects each time. What the tables hold is
// the business of data.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allEffects,
  allRoles,
  allSeries,
  commandNamed,
  commandsOf,
  listOfText,
  parameterNamed,
  strongerEffect,
  textOfList,
} from '../../../src/domain/commands/catalog.js';

void test('a command is found by its exact full name, and is the same object each time', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      assert.equal(commandNamed(series, command.name), command);
      assert.equal(commandNamed(series, command.name.toUpperCase()), undefined);
      assert.equal(commandNamed(series, ` ${command.name}`), undefined);
      assert.deepEqual(command.words, command.name.split(' '));
    }
  }
  for (const name of ['', 'mailbox', 'mailbox  list', 'constructor', '__proto__'])
    assert.equal(commandNamed('2.3', name), undefined, name);
});

void test('nobody can change what others judge by', () => {
  for (const series of allSeries) {
    assert.ok(Object.isFrozen(commandsOf(series)));
    for (const command of commandsOf(series)) {
      for (const part of [command, command.words, command.params, ...command.params]) {
        assert.ok(Object.isFrozen(part), command.name);
      }
    }
  }
});

void test('commands for a user, and only those, begin with the options that all of them have', () => {
  const inFront = { '2.3': ['all-users', 'socket-path'], '2.4': ['all-users', 'socket-path'] } as const;
  for (const series of allSeries) {
    const common = commandNamed(series, 'quota get')?.params.map(({ name }) => name) ?? [];
    assert.deepEqual(common.slice(0, 2), inFront[series]);
    for (const { name, scope, params } of commandsOf(series)) {
      const first = params.slice(0, common.length).map((parameter) => parameter.name);
      if (scope === 'user') assert.deepEqual(first, common, name);
      else assert.notDeepEqual(first, common, name);
    }
  }
});

void test('a parameter is found by its long name only', () => {
  const fetch = commandNamed('2.4', 'fetch');
  assert.ok(fetch);
  for (const parameter of fetch.params) assert.equal(parameterNamed(fetch, parameter.name), parameter);
  assert.equal(parameterNamed(fetch, 'u'), undefined);
  assert.equal(parameterNamed(fetch, 'toString'), undefined);
});

void test('a text positional and its list option name each other, and nothing else does', () => {
  const pairs = new Set<string>();
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      for (const parameter of command.params) {
        const list = listOfText(command, parameter);
        if (list !== undefined) {
          assert.equal(textOfList(command, list), parameter);
          assert.equal(list.type, 'array');
          pairs.add(`${command.name}: ${list.name}`);
        }
        const text = textOfList(command, parameter);
        if (text !== undefined) assert.equal(listOfText(command, text), parameter);
      }
    }
  }
  assert.deepEqual([...pairs].toSorted(), [
    'fetch: field',
    'flags add: flag',
    'flags remove: flag',
    'flags replace: flag',
    'mailbox status: field',
  ]);
});

void test('the stronger effect wins in either order', () => {
  for (const [at, weaker] of allEffects.entries()) {
    for (const stronger of allEffects.slice(at)) {
      assert.equal(strongerEffect(weaker, stronger), stronger);
      assert.equal(strongerEffect(stronger, weaker), stronger);
    }
  }
});

void test('every role but one is that of a parameter of some series', () => {
  const used = new Set<string | undefined>(
    allSeries.flatMap((series) => commandsOf(series).flatMap(({ params }) => params.map(({ role }) => role))),
  );
  assert.deepEqual(
    allRoles.filter((role) => !used.has(role)),
    ['args'],
  );
});
