// Goal: files of `catalog` add commands to those that rules may name, and nothing else; what is wrong in them is told at its place.
// What must not happen: a name that can be read as one of ours, a parameter whose shape is guessed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { commandNamed, commandNames, commandsNamed } from '../../../src/doveadm/commands/catalog.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { sha256Hex } from '../../../src/host/values/digest.js';
import { type ParsedSettings, parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import { memoryFiles, sound } from './sound.js';

const file = '/etc/dovegate/site.json';

function withFiles(files: Readonly<Record<string, string>>, more = ''): ParsedSettings {
  const names = Object.keys(files).map((path) => path.replace('/etc/dovegate/', ''));
  const text = `${sound}catalog: [${names.join(', ')}]\n${more}`;
  return parseSettings('/etc/dovegate/d.yaml', memoryFiles({ '/etc/dovegate/d.yaml': text, ...files }));
}

/** A file with one command per line of JSON, so that lines can be named. */
function fileOf(commands: readonly object[], series = '2.4'): string {
  return `{ "series": "${series}", "commands": [\n${commands.map((each) => JSON.stringify(each)).join(',\n')}\n] }\n`;
}

/** The problems of a file with these commands; the first command is in line 2. */
function told(...commands: readonly object[]): string[] {
  return withFiles({ [file]: fileOf(commands) }).problems.map((problem) =>
    formatProblem(problem).replace('/etc/dovegate/', ''),
  );
}

const scan = {
  name: 'site scan',
  scope: 'user',
  effect: 'read',
  params: [
    { name: 'depth', short: 'd', type: 'int', optional: true, unsigned: true },
    { name: 'mailbox', type: 'str', positional: true, role: 'mailbox' },
    { name: 'word', type: 'array', positional: true, optional: true, role: 'keyword' },
  ],
};

void test('a file adds commands with their parameters; the effect is admin unless it says another one', () => {
  const text = fileOf([scan, { name: 'site purge', scope: 'server' }]);
  const { settings, problems } = withFiles({ [file]: text });
  assert.deepEqual(problems, []);
  const { added, files } = settings?.catalog ?? assert.fail();
  assert.deepEqual(files, [{ path: file, hash: sha256Hex(text), text }]);
  assert.equal(commandNamed('2.3', 'site scan', added), undefined);
  const found = commandNamed('2.4', 'site scan', added) ?? assert.fail();
  assert.equal(commandNamed('2.4', 'site scan', added), found);
  const traits = [found.effect, found.grant, found.input, found.isAdded];
  assert.deepEqual(traits, ['read', 'explicit', 'none', true]);
  // The usual ones of commands for users stand in front.
  const cautions = found.params
    .filter(({ role }) => role !== 'internal')
    .map(({ name, caution }) => `${name} ${caution}`);
  assert.deepEqual(cautions, [
    'all-users all-users',
    'socket-path never',
    'user free',
    'user-file never',
    // Without a role, a rule must name it.
    'depth named',
    'mailbox free',
    'word free',
  ]);
  const [purge] = commandsNamed('site purge', added);
  assert.deepEqual([purge?.scope, purge?.effect, purge?.params], ['server', 'admin', []]);
  assert.deepEqual(commandsNamed('site purge'), []);
});

void test('a changed file is another configuration, and another version of every policy', () => {
  const read = (text: string) => withFiles({ [file]: text }).settings ?? assert.fail();
  const one = read(fileOf([scan]));
  const other = read(fileOf([{ ...scan, effect: 'write' }]));
  assert.notEqual(one.hash, other.hash);
  assert.notEqual(one.policies.get('support')?.version, other.policies.get('support')?.version);
  assert.ok(one.policies.get('support')?.effectiveText.includes(sha256Hex(fileOf([scan]))));
});

void test('files of both series, and a single one without brackets', () => {
  const older = '/etc/dovegate/older.json';
  const { settings, problems } = withFiles({ [file]: fileOf([scan]), [older]: fileOf([scan], '2.3') });
  assert.deepEqual(problems, []);
  assert.equal(commandsNamed('site scan', settings?.catalog?.added).length, 2);
  const text = `${sound}catalog: site.json\n`;
  const files = memoryFiles({ '/etc/dovegate/d.yaml': text, [file]: fileOf([scan]) });
  assert.equal(parseSettings('/etc/dovegate/d.yaml', files).settings?.catalog?.files[0]?.path, file);
});

void test('rules, server_commands and their hints know the added names', () => {
  const commands = [scan, { name: 'site purge', scope: 'server' }];
  const more = 'server_commands: { site purge: mail1 }\n';
  const read = (rule: string): string[] => {
    const text = `${sound.replace('[quota get]', `[${rule}]`)}catalog: site.json\n${more}`;
    const files = memoryFiles({ '/etc/dovegate/d.yaml': text, [file]: fileOf(commands) });
    return parseSettings('/etc/dovegate/d.yaml', files).problems.map(
      ({ path, message }) => `${path}: ${message}`,
    );
  };
  assert.deepEqual(read('site scan, site purge'), []);
  assert.deepEqual(read('{ command: site scan, where: { depth: { at_most: 3 }, word: any } }'), []);
  assert.deepEqual(read('site scam'), [
    'policies.support.allow[0]: no Dovecot has a command "site scam" that can be sent to it; did you mean site scan?',
  ]);
  assert.deepEqual(read('{ command: site scan, where: { dept: any } }'), [
    'policies.support.allow[0].where.dept: "site scan" has no parameter "dept"; did you mean depth?',
  ]);
});

void test('no name of the catalog can be changed or shadowed, however it is spelled', () => {
  const spellings = [...commandNames()].flatMap((name) => {
    const [first = '', ...others] = name.split(' ');
    return [name, `${name} more`, ...(others.length > 0 ? [first, name.replaceAll(' ', '-')] : [])];
  });
  const names = [...new Set(spellings)];
  const problems = told(...names.map((name) => ({ name, scope: 'server', effect: 'read' })));
  assert.equal(problems.length, names.length, problems.join('\n'));
  for (const [at, name] of names.entries()) {
    const problem = problems.find((each) => each.includes(`: commands[${at}].name: `)) ?? '';
    assert.match(problem, /^site\.json:\d+:\d+: .*take it out$/, name);
  }
});

/** Commands as YAML, and below them what is told of them. */
const bad = `
{ name: quota get, scope: user }
  2:2: commands[0].name: "quota get" is in the catalog already, and a file cannot change it; take it out
{ name: mailbox, scope: user }
  2:2: commands[0].name: would be mixed up with "mailbox cache decision" of the catalog; take it out
{ name: dovegate can, scope: server }
  2:2: commands[0].name: begins with dovegate, which is for its own commands; take it out
[{ name: a b, scope: user }, { name: a b, scope: user }]
  3:2: commands[1].name: is already defined in /etc/dovegate/site.json:2; leave one of them
[{ name: a b, scope: user }, { name: a, scope: user }]
  3:2: commands[1].name: would be mixed up with "a b" (/etc/dovegate/site.json:2); leave one of them
[{ name: a b-c, scope: user }, { name: a-b c, scope: user }]
  3:2: commands[1].name: would be mixed up with "a b-c" (/etc/dovegate/site.json:2); leave one of them
{ name: Site scan, scope: user }
  2:2: commands[0].name: must be the full name of a command: at most 8 words of lower-case letters, digits and dashes, with one blank between
{ name: a }
  2:1: commands[0].scope: is missing; it must be one of: user, server
{ name: a, scope: user, effect: none }
  2:28: commands[0].effect: must be one of: read, session, write, admin, destroy
{ name: a, scope: user, input: dot }
  2:28: commands[0].input: must be none: a command that reads a text, or speaks both ways, cannot be added
{ name: a, scope: user, parms: [] }
  2:28: commands[0].parms: "parms" is not a key here; did you mean params?
`;

/** The same for parameters of a command, without the place. */
const badParameters = `
{ name: x, type: istream }
  must be one of: bool, str, int, array (a file that the server opens, istream, cannot be judged here)
{ name: x, type: str, role: mailbx }
  there is no role "mailbx"; did you mean mailbox?
{ name: x, type: str, role: sub-commands }
  sub-commands is a role that only commands of the catalog have; leave the command out
{ name: fieldstr, type: str }
  fieldstr is a parameter that only commands of the catalog have; leave the command out
{ name: user, type: str }
  user is there already: every command of scope user has -A, -S, -u and -F; take it out
{ name: to, type: str, positional: true, role: user }
  is the role of -u here; a user besides that of the line has the role user-mask
{ name: x, short: A, type: str }
  -A is there already; a letter is one option
{ name: x, type: array, positional: true, role: search-query }
  a search query has the name query, the role search-query and the type array, and is positional
{ name: x, type: bool, positional: true }
  a bool takes no value, so it cannot be positional
{ name: x, type: str, unsigned: true }
  is for type int only; take it out
[{ name: all, type: array, positional: true }, { name: x, type: str, positional: true }]
  stands after all, which takes all that is left; put it in front
[{ name: may, type: str, positional: true, optional: true }, { name: x, type: str, positional: true }]
  must be given, and stands after may, which need not be; put it in front
`;

/** What is written, as a list, and what is told of it. */
const rowsOf = (table: string): readonly (readonly [written: object[], expected: string])[] =>
  [...table.matchAll(/^(.+)\n {2}(.+)$/gm)].map(([, yaml = '', expected = '']) => [
    [parseYaml(yaml)].flat(),
    expected,
  ]);

void test('each mistake is told with its line and what to do', () => {
  assert.equal(rowsOf(bad).length, 11);
  for (const [commands, expected] of rowsOf(bad))
    assert.deepEqual(told(...commands), [`site.json:${expected}`]);
  assert.equal(rowsOf(badParameters).length, 12);
  for (const [params, expected] of rowsOf(badParameters)) {
    const [problem = '', ...more] = told({ name: 'a', scope: 'user', params });
    assert.match(problem, /^site\.json:2:\d+: commands\[0\]\.params\[\d\]/, expected);
    assert.equal(problem.replace(/^.*?: .*?: /, ''), expected);
    assert.deepEqual(more, [], expected);
  }
});

void test('a file that is missing, no map, of no series, named twice, or too long', () => {
  const problemsOf = (text: string, files: Readonly<Record<string, string>>): string[] =>
    parseSettings(
      '/etc/dovegate/d.yaml',
      memoryFiles({ '/etc/dovegate/d.yaml': text, ...files }),
    ).problems.map((problem) => formatProblem(problem).replaceAll('/etc/dovegate/', ''));
  const named = `${sound}catalog: site.json\n`;
  assert.deepEqual(problemsOf(named, {}), ['d.yaml:12:1: catalog: site.json cannot be read: no such file']);
  assert.match(problemsOf(named, { [file]: '[]' })[0] ?? '', /^site\.json:1:1: /);
  const noSeries = ['site.json:1:3: series: must be one of: 2.3, 2.4'];
  assert.deepEqual(problemsOf(named, { [file]: fileOf([scan], '2.5') }), noSeries);
  assert.deepEqual(problemsOf(`${sound}catalog: [site.json, site.json]\n`, { [file]: fileOf([scan]) }), [
    'd.yaml:12:22: catalog[1]: site.json is named twice; take one out',
  ]);
  // bounds.catalogBytes
  const about = 'x'.repeat(bounds.catalogBytes);
  const long = fileOf([scan]).replace('"series"', `"about": "${about}", "series"`);
  assert.deepEqual(problemsOf(named, { [file]: long }), [
    'd.yaml:12:1: catalog: the files have more than 256 KiB together, with site.json; keep the commands that are used',
  ]);
  // bounds.addedCommands
  const most = Array.from({ length: bounds.addedCommands }, (_, at) => ({ name: `a${at}`, scope: 'user' }));
  assert.deepEqual(problemsOf(named, { [file]: fileOf(most) }), []);
  const [problem = ''] = problemsOf(named, { [file]: fileOf([...most, { name: 'b', scope: 'user' }]) });
  assert.equal(
    problem,
    'site.json:258:1: commands[256]: is more than the 256 commands that files can add; keep those that are used',
  );
});
