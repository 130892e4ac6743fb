// Goal: what may come next follows from the option tables, wherever the cursor stands, and nothing that was typed is run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Argument, Command, Option } from 'commander';
import { completeProgram } from '../../../src/cli/completion/candidates.js';
import type { Rights } from '../../../src/domain/answers/rights.js';

function programOf(): Command {
  const never = (): never => assert.fail('it was run');
  const program = new Command('dovegate').version('1', '--version');
  program
    .command('send')
    .requiredOption('--socket <path>', 'the socket')
    .option('--user <name>', 'whose')
    .addOption(new Option('--format <format>', 'how').choices(['table', 'tab']))
    .option('-q, --quiet', 'say nothing')
    .argument('<command...>')
    .action(never);
  const nested = program.command('audit').description('the journal');
  nested.command('verify').option('--key <file>').argument('[place...]').action(never);
  nested.command('search').option('--replay <dir>').action(never);
  program
    .command('backend')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<name>')
    .action(never);
  program.command('hidden', { hidden: true }).action(never);
  return program;
}

async function offered(...words: string[]): Promise<string> {
  const found = await completeProgram(programOf(), words, () => Promise.resolve(undefined));
  return found.kind === 'words' ? found.words.map(({ word }) => word).join(' ') : `(${found.kind})`;
}

const table: readonly (readonly [words: string, offered: string])[] = [
  ['|', 'send audit backend help'],
  ['a|', 'audit'],
  ['--|', '--version --help'],
  ['send --|', '--socket --user --format --quiet --help'],
  ['send --s|', '--socket'],
  ['send --socket |', '(files)'],
  ['send --user |', ''],
  ['send --format |', 'table tab'],
  ['send --format ta|', 'table tab'],
  ['send -q --format tab|', 'table tab'],
  ['send --format=tab --u|', '--user'],
  ['send --socket /s -- quo|', 'quota'],
  ['send --socket /s quota |', 'get recalc'],
  ['send -- --|', ''],
  ['audit |', 'verify search help'],
  ['audit verify |', '(files)'],
  ['audit verify one |', '(files)'],
  ['audit verify --key |', '(files)'],
  ['audit search --replay |', '(directories)'],
  ['audit search |', ''],
  ['backend |', 'drain enable'],
  ['backend drain |', ''],
  ['backend drain mail1 |', ''],
  ['nothing such |', ''],
];

for (const [words, expected] of table) {
  void test(words, async () => {
    assert.equal(await offered(...words.slice(0, -1).split(' ')), expected);
  });
}

void test('the socket that is named is asked, for names only', async () => {
  const asked: string[] = [];
  const rights: Rights = {
    listener: 'support',
    principal: 'alice@support',
    policy: 'support',
    isObserving: false,
    users: [],
    except: [],
    limits: [],
    logs: 'filtered',
    debug: false,
    allow: [{ command: 'quota get', effect: 'read', says: [] }],
    onRequest: [],
    approve: [],
    deny: [],
  };
  const ask = async (...words: string[]): Promise<string> => {
    const found = await completeProgram(programOf(), words, (socket) => {
      asked.push(socket);
      return Promise.resolve(rights);
    });
    return found.kind === 'words' ? found.words.map(({ word }) => word).join(' ') : found.kind;
  };
  assert.equal(await ask('send', '--socket', '/s', '--', ''), 'dovegate quota');
  assert.equal(await ask('send', '--socket=/t', '--', 'mail'), '');
  await ask('send', '--socket', '/u', '--', 'quota', 'get', '-');
  await ask('send', '--', '');
  assert.deepEqual(asked, ['/s', '/t']);
});

void test('ids are those that the daemon offers for the subcommand', async () => {
  const program = new Command('dovegate');
  const never = (): never => assert.fail('it was run');
  for (const verb of ['approve', 'kill'])
    program.command(verb).option('--socket <path>').argument('<id>').action(never);
  const asked: string[] = [];
  const offeredIds = async (...words: string[]): Promise<string> => {
    const found = await completeProgram(
      program,
      words,
      () => Promise.resolve(undefined),
      (socket, verb) => {
        asked.push(`${socket} ${verb}`);
        return Promise.resolve([
          { word: '01KAF', description: 'anna@support: fetch' },
          { word: '02X', description: '' },
        ]);
      },
    );
    return found.kind === 'words' ? found.words.map(({ word }) => word).join(' ') : found.kind;
  };
  assert.equal(await offeredIds('approve', '--socket', '/s', ''), '01KAF 02X');
  assert.equal(await offeredIds('approve', '--socket', '/s', '01'), '01KAF');
  assert.equal(await offeredIds('approve', ''), '');
  assert.equal(await offeredIds('approve', '--socket', '/s', '01KAF', ''), '');
  assert.deepEqual(asked, ['/s approve', '/s approve']);
});
