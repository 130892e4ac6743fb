// The command line of the subcommands about policies. It does not know what they do.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { allSeries, type Series } from '../catalog/series.js';
import { parseDuration } from '../source/schema-parts.js';
import type { CanOptions } from './can.js';
import type { ExplainOptions } from './explain.js';
import type { ReplayOptions } from './replay.js';
import type { SuggestOptions } from './suggest.js';
import type { TestOptions } from './test.js';

/** What they do; each resolves to an exit code. */
export interface PolicySubcommands {
  explain(options: ExplainOptions): Promise<number>;
  can(options: CanOptions): Promise<number>;
  test(options: TestOptions): Promise<number>;
  replay(options: ReplayOptions): Promise<number>;
  suggest(options: SuggestOptions): Promise<number>;
}

const configHelp = 'the configuration file';
const listenerHelp = 'the listener, by its name in the configuration';

/** Adds them to the program; `end` takes the exit code. */
export function addPolicyCommands(
  program: Command,
  subcommands: PolicySubcommands,
  end: (code: number) => void,
): void {
  addExplain(program, subcommands, end);
  program
    .command('can')
    .description('print what a listener may do: commands, users, conditions and limits')
    .requiredOption('--config <file>', configHelp)
    .requiredOption('--listener <name>', listenerHelp)
    .addOption(new Option('--uid <n>', 'of this user, by the uid of the system').argParser(parseUid))
    .option('--json', 'print JSON', false)
    .action(async (options: { config: string; listener: string; uid?: number; json: boolean }) => {
      end(await subcommands.can(options));
    });
  program
    .command('test')
    .description('run the policy tests of a configuration; exit 0 or 1')
    .requiredOption('--config <file>', configHelp)
    .option('--coverage', 'print the rules that nothing exercises', false)
    .option(
      '--replay <dir>',
      'judge the records of an audit journal instead, and print decisions that would change',
    )
    .action(async ({ replay, ...options }: { config: string; coverage: boolean; replay?: string }) => {
      end(
        replay === undefined
          ? await subcommands.test(options)
          : await subcommands.replay({ ...options, directory: replay }),
      );
    });
  program
    .command('suggest')
    .description('print the smallest readable policy that allows what a listener was seen doing')
    .requiredOption('--config <file>', configHelp)
    .requiredOption('--listener <name>', listenerHelp)
    .addOption(
      new Option('--since <duration>', 'how far to look back in the audit journal, as 12h or 7d')
        .argParser(parseSince)
        .default(parseDuration('7d'), '7d'),
    )
    .addOption(
      new Option('--uid <n>', 'what this user was seen doing, by the uid of the system').argParser(parseUid),
    )
    .action(
      async ({ since, ...options }: { config: string; listener: string; uid?: number; since: number }) => {
        end(await subcommands.suggest({ ...options, sinceMs: since }));
      },
    );
}

function addExplain(program: Command, subcommands: PolicySubcommands, end: (code: number) => void): void {
  interface Flags {
    config: string;
    listener: string;
    uid?: number;
    account?: string;
    series: 'auto' | Series;
    user: string;
    json: boolean;
  }
  program
    .command('explain')
    .description(
      'print what would become of a command line, and why; exit 0 allowed, 77 denied, 64 not readable',
    )
    .argument('<command...>', 'behind --: the words of the command line, its name split or joined')
    .requiredOption('--config <file>', configHelp)
    .requiredOption('--listener <name>', listenerHelp)
    .addOption(new Option('--uid <n>', 'who asks, by the uid of the system').argParser(parseUid))
    .addOption(new Option('--account <name>', 'who asks, by the name of an account').conflicts('uid'))
    .addOption(
      new Option('--series <series>', 'read it as this Dovecot does; auto: as the backend, or as both')
        .choices(['auto', ...allSeries])
        .default('auto'),
    )
    .option('--user <name>', 'the mailbox user of the command line', '')
    .option('--json', 'print JSON', false)
    .action(async (words: string[], { series, ...flags }: Flags) => {
      end(await subcommands.explain({ ...flags, words, series: series === 'auto' ? undefined : series }));
    });
}

function parseUid(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number.');
}

function parseSince(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('It must be a duration with its unit, as 12h or 7d.');
  return ms;
}
