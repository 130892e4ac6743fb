import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  allSeries,
  type Command,
  catalogHash,
  commandNamed,
  commandsOf,
  ownCommands,
  type Parameter,
  type Series,
} from '../../../src/doveadm/commands/catalog.js';
import { catalogSources, commandTable, holdReasons } from '../../../src/doveadm/commands/data.js';
import { testAnswers } from './approved.js';

test('the generated tables are those that the checked-in source gives', () => {
  const made = execFileSync(process.execPath, [join('scripts', 'make-catalog.mjs'), '--print'], {
    encoding: 'utf8',
  });
  assert.equal(readFileSync(join('src', 'doveadm', 'commands', 'data.ts'), 'utf8'), made);
});

test('each series has what a real server of it lists', () => {
  assert.equal(commandsOf('2.3').length, 120);
  assert.equal(commandsOf('2.4').length, 118);
  assert.match(catalogSources['2.3'].dovecot, /^2\.3\.19\.1/);
  assert.match(catalogSources['2.4'].dovecot, /^2\.4\.1/);
  const halves = allSeries.map((series) => catalogSources[series].hash.slice(0, 32));
  assert.equal(catalogHash, halves.join(''));
});

/** A parameter in the notation of the table. */
function notationOf(parameter: Parameter): string {
  const { short, name, type, isPositional, isOptional, isUnsigned, key, role } = parameter;
  const before = `${isPositional ? '<' : ''}${short === undefined ? '' : `${short}/`}`;
  const after = `${isOptional ? '?' : ''}${isUnsigned ? '+' : ''}${key === undefined ? '' : `@${key}`}`;
  return `${before}${name}:${type}${after}${role === undefined ? '' : `=${role}`}`;
}

function rowOf({ name, scope, effect, grant, hold, input, permutes, params }: Command): string {
  const traits = [scope, effect, grant, hold, input, ...(permutes ? [] : ['ordered'])].join(' ');
  return [name, traits, params.map(notationOf).join(' ')].join(' | ');
}

for (const series of allSeries) {
  test(`${series}: every row of the tables is read whole, and in its place`, () => {
    const rows = commandTable.trim().split('\n');
    const wanted = rows.flatMap((row) => {
      const [which = '', name = '', traits = '', params = ''] = row.split(/ \| ?/);
      const { mailParams } = catalogSources[series];
      const all = traits.startsWith('user ') ? `${mailParams} ${params}`.trim() : params;
      return which.split(' ').includes(series) ? [[name, traits, all].join(' | ')] : [];
    });
    assert.deepEqual(commandsOf(series).map(rowOf), wanted);
  });
}

test('each command that is not kept has a reason, and no other one has', () => {
  const all = allSeries.flatMap((series) => commandsOf(series));
  assert.equal(new Set(all.map(({ name }) => name)).size, 141);
  const changing = new Set(all.filter(({ hold }) => hold !== 'keeps').map(({ name }) => name));
  const reasons = holdReasons.trim().split('\n');
  const named = reasons.map((row) => row.split(' | ')[0]);
  assert.deepEqual(named, [...changing].toSorted());
  for (const { name, effect, hold } of all) {
    if (effect === 'destroy' && !name.startsWith('fts ')) assert.notEqual(hold, 'keeps', name);
    if (effect === 'read' || effect === 'session') assert.equal(hold, 'keeps', name);
  }
});

test('our own commands', () => {
  const words = 'u/user:str?=user <command:array=sub-commands';
  const wish =
    'u/user:array?=user for:str? uses:str? quiet:str? reason:str?=text <command:array=sub-commands';
  assert.deepEqual(ownCommands.map(rowOf), [
    'dovegate can | server session normal keeps none | ',
    'dovegate mailbox-report | server session normal keeps none | u/user:str=user',
    `dovegate explain | server session normal keeps none ordered | ${words}`,
    `dovegate dry-run | server session normal keeps none ordered | ${words}`,
    `dovegate request | server session normal keeps none ordered | ${wish}`,
    `dovegate grant | server session normal keeps none ordered | to:str?=name ${wish}`,
    'dovegate requests | server session normal keeps none ordered | after:str?',
    'dovegate access | server session normal keeps none ordered | <id:str',
    'dovegate approve | server session normal keeps none ordered | for:str? uses:str? <id:str',
    'dovegate refuse | server session normal keeps none ordered | reason:str?=text <id:str',
    'dovegate revoke | server session normal keeps none ordered | reason:str?=text <id:str',
    'dovegate review | server session normal keeps none ordered | <id:str',
  ]);
});

/**
 * The parameters of a command that need more than a rule for it, or that change its effect; those that all mail commands have only once.
 */
function cautionsOf(series: Series, command: Command): string {
  const common =
    command.scope === 'user' && command.name !== 'quota get' ? commandNamed(series, 'quota get') : undefined;
  return command.params
    .slice(common?.params.length ?? 0)
    .filter(({ caution, danger }) => caution !== 'free' || danger !== undefined)
    .map(({ name, caution, danger }) =>
      danger === undefined ? `${name} ${caution}` : `${name} ${caution} (${danger.effect}: it ${danger.why})`,
    )
    .join(', ');
}

testAnswers('cautions.cases', 2, (series, [, name = '']) =>
  cautionsOf(series, commandNamed(series, name) ?? assert.fail(name)),
);

for (const [series, count] of [
  ['2.3', 68],
  ['2.4', 58],
] as const) {
  test(`${series}: no other command has such a parameter`, () => {
    const found = commandsOf(series).filter((command) => cautionsOf(series, command) !== '');
    assert.equal(found.length, count);
  });
}

test('commands that only the program itself knows are not in it', () => {
  for (const series of allSeries) {
    for (const name of 'exec|config|dump|help|pw|auth test|auth login|auth lookup|auth cache status'.split(
      '|',
    )) {
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
      const longer = names.filter((other) => other.startsWith(`${name} `));
      assert.deepEqual(longer, []);
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
        // Two spellings of one list: never a text without its list, or a list whose text is an option.
        const list = /^(field|flag)str$/.exec(parameter.name)?.[1] ?? '';
        if (parameter.isPositional && list !== '') assert.ok(params.some((one) => one.name === list));
        if (params.some((one) => one.name === list)) assert.ok(parameter.isPositional, name);
      }
    }
  });
}
