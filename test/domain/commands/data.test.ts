import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allSeries, catalogHash, commandNamed, commandsOf } from '../../../src/domain/commands/catalog.js';
import { catalogSources } from '../../../src/domain/commands/data.js';

test('the generated tables are those that the checked-in source gives', () => {
  const made = execFileSync(process.execPath, [join('scripts', 'make-catalog.mjs'), '--print'], {
    encoding: 'utf8',
  });
  assert.equal(readFileSync(join('src', 'domain', 'commands', 'data.ts'), 'utf8'), made);
});

test('each series has what a real server of it lists', () => {
  assert.equal(commandsOf('2.3').length, 120);
  assert.equal(commandsOf('2.4').length, 118);
  assert.match(catalogSources['2.3'].dovecot, /^2\.3\.19\.1/);
  assert.match(catalogSources['2.4'].dovecot, /^2\.4\.1/);
  assert.match(catalogHash, /^[0-9a-f]{64}$/);
});

test('commands that only the program itself knows are not in it', () => {
  for (const series of allSeries) {
    for (const name of [
      'exec',
      'config',
      'dump',
      'help',
      'pw',
      'auth test',
      'auth login',
      'auth lookup',
      'auth cache status',
    ]) {
      assert.equal(commandNamed(series, name), undefined, name);
    }
  }
  assert.equal(commandNamed('2.3', 'batch')?.permutes, false);
  assert.equal(commandNamed('2.4', 'batch'), undefined);
  assert.equal(commandNamed('2.3', 'indexer add'), undefined);
});

for (const series of allSeries) {
  test(`${series}: no name begins another, and no table has an option twice`, () => {
    const names = commandsOf(series).map((command) => command.name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      assert.deepEqual(
        names.filter((other) => other.startsWith(`${name} `)),
        [],
      );
    }
    for (const command of commandsOf(series)) {
      const long = command.params.map((parameter) => parameter.name);
      assert.equal(new Set(long).size, long.length, command.name);
      const short = command.params.flatMap((parameter) => parameter.short ?? []);
      assert.equal(new Set(short).size, short.length, command.name);
    }
  });

  test(`${series}: what the reader and the canonical form build on holds for every table`, () => {
    for (const { name, params } of commandsOf(series)) {
      const positionals = params.filter((parameter) => parameter.isPositional);
      for (const [index, parameter] of positionals.entries()) {
        // An array takes all that follows: behind it nothing could be reached.
        assert.equal(parameter.type === 'array' && index < positionals.length - 1, false, name);
        assert.equal(parameter.short, undefined, name);
        assert.notEqual(parameter.type, 'bool', name);
      }
      for (const parameter of params) {
        if (!parameter.isPositional) assert.equal(parameter.isOptional, true, `${name} ${parameter.name}`);
        if (parameter.key !== undefined) assert.equal(parameter.role, 'source-user', name);
      }
    }
  });
}
