// The command line of the subcommands about policies.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { standardConfig, standardConfigHelp } from '../adapters/host/program.js';
import { allSeries, type Series } from '../domain/commands/catalog.js';
import { momentHelp } from '../domain/policy/duration.js';
import { readMoment } from './audit/audit.js';
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

/** Defaults to the standard place. It still counts as not given for options that conflict with it. */
export function configOption(help = 'the configuration file'): Option {
  return new Option('--config <file>', help).default(standardConfig(), standardConfigHelp);
}

const listenerHelp = 'the listener, by its name in the configuration';

interface Who {
  uid?: number;
  account?: string;
}

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
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listenerHelp))
    .addOption(socketOption())
    .addOption(new Option('--uid <n>', 'of this user, by the uid of the system').argParser(parseUid))
    .addOption(new Option('--account <name>', 'of this account').conflicts('uid'))
    .option('--json', 'print JSON', false)
    .action(async ({ uid, account, json, ...where }: Where & Who & { json: boolean }, command: Command) => {
      const from = placeOf(where, command);
      end(await subcommands.can({ json, ...('socket' in from ? from : { ...from, uid, account }) }));
    });
  program
    .command('test')
    .description('run the policy tests of a configuration; exit 0 or 1')
    .addOption(configOption())
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
    .addOption(configOption())
    .requiredOption('--listener <name>', listenerHelp)
    .addOption(
      new Option('--since <when>', `how far to look back in the audit journal: ${momentHelp}`)
        .argParser((text) => readMoment(text, 'start'))
        .default(undefined, '7d'),
    )
    .addOption(
      new Option('--uid <n>', 'what this user was seen doing, by the uid of the system').argParser(parseUid),
    )
    .addOption(new Option('--account <name>', 'what this account was seen doing').conflicts('uid'))
    .action(async ({ since, ...options }: Who & { config: string; listener: string; since?: number }) => {
      end(await subcommands.suggest({ ...options, sinceMs: since ?? readMoment('7d', 'start') }));
    });
}

function addExplain(program: Command, subcommands: PolicySubcommands, end: (code: number) => void): void {
  interface Flags extends Where, Who {
    series: 'auto' | Series;
    client?: number;
    user: string;
    json: boolean;
  }
  program
    .command('explain')
    .description(
      'print what would become of a command line, and why; exit 0 allowed, 77 denied, 75 not carried out, 64 not readable',
    )
    .argument('<command...>', 'behind --: the words of the command line, its name split or joined')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listenerHelp))
    .addOption(socketOption('series', 'client'))
    .addOption(new Option('--uid <n>', 'who asks, by the uid of the system').argParser(parseUid))
    .addOption(new Option('--account <name>', 'who asks, by the name of an account').conflicts('uid'))
    .addOption(
      new Option('--series <series>', 'read it as this Dovecot does; auto: as the backend, or as both')
        .choices(['auto', ...allSeries])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--client <client>',
        'the client that asks, 2.3, 2.4 or its minor (default: 2.4); -A means other things to them',
      ).argParser(parseClient),
    )
    .option('--user <name>', 'the mailbox user of the command line', '')
    .option('--json', 'print JSON', false)
    .action(async (words: string[], flags: Flags, command: Command) => {
      const { uid, account, user, json } = flags;
      const series = flags.series === 'auto' ? undefined : flags.series;
      const from = placeOf(flags, command);
      const asker = 'socket' in from ? from : { ...from, uid, account, series, clientMinor: flags.client };
      end(await subcommands.explain({ user, words, json, ...asker }));
    });
}

/** Where the answer comes from, as it was typed. */
interface Where {
  readonly config: string;
  readonly listener?: string;
  readonly socket?: string;
}

/** What only the files can tell is not asked of the daemon, who knows who asks. */
function socketOption(...more: readonly string[]): Option {
  return new Option(
    '--socket <path>',
    'ask the daemon at this socket instead, for who runs this; no file is read',
  ).conflicts(['config', 'listener', 'uid', 'account', ...more]);
}

/** Ends with a wrong usage where neither place is named. */
function placeOf(
  { config, listener, socket }: Where,
  command: Command,
): { readonly socket: string } | { readonly config: string; readonly listener: string } {
  if (socket !== undefined) return { socket };
  if (listener !== undefined) return { config, listener };
  return command.error("error: either '--listener <name>', or '--socket <path>'");
}

/** The minor that doveadm of that release announces, or a minor itself. */
function parseClient(text: string): number {
  if (text === '2.3') return 2;
  if (text === '2.4') return 4;
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be 2.3, 2.4 or the minor of a protocol version.');
}

function parseUid(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number.');
}
