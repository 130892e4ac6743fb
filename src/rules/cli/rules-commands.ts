// The subcommands that read policies: check, explain, can, test. The code of a subcommand is imported when it is called.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { allSeries, type Series } from '../../doveadm/commands/catalog.js';
import { minorsOf } from '../../doveadm/protocol/releases.js';
import {
  configOption,
  type End,
  listenerHelp,
  type Who,
  withClient,
} from '../../host/output/run-commands.js';
import type { CheckOptions, WhyNoStart } from './check.js';
import type { AskDaemon } from './named-listener.js';
import type { ReplayOptions, WhyUnproven } from './test.js';

/** Functions of other parts of the program that these subcommands need. */
export interface PolicyNeeds {
  readonly ask: AskDaemon;
  readonly whyNoStart: WhyNoStart;
  readonly whyUnproven: () => Promise<WhyUnproven>;
  readonly replay: (options: ReplayOptions) => Promise<number>;
}

interface Where {
  readonly config: string;
  readonly listener?: string;
  readonly socket?: string;
}

interface TestFlags {
  readonly config: string;
  readonly coverage: boolean;
  readonly replay?: string;
  readonly candidate?: string;
  readonly acceptHoles: boolean;
}

interface CanFlags extends Where, Who {
  readonly json: boolean;
  readonly http?: string;
  readonly keyFile?: string;
  readonly ca?: string;
}

const notWithHttp = ['config', 'listener', 'socket', 'uid', 'account'];

interface ExplainFlags extends Where, Who {
  readonly series: 'auto' | Series;
  readonly client?: number;
  readonly granted: boolean;
  readonly user: string;
  readonly json: boolean;
  readonly lines?: string;
}

export function addPolicyCommands(program: Command, end: End, needs: PolicyNeeds): void {
  program
    .command('check')
    .description('print every problem of a configuration as FILE:LINE:COLUMN: message')
    .addOption(configOption())
    .option('--verbose', 'print the effective settings and rules too', false)
    .option('--json', 'print each problem as a line of JSON, with its code (docs/messages.md)', false)
    .option('--start', 'check too whether the disk has room for the journal of a start', false)
    .action(async (options: CheckOptions) => {
      end(await (await import('./check.js')).check(options, needs.whyNoStart));
    });
  const explain = program
    .command('explain')
    .description('print what would become of a command line, or of those of a script, and why')
    .argument('[command...]', 'after --: the words of the command line, its name split or joined')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listenerHelp))
    .addOption(socketOption('series', 'client', 'granted'));
  withClient(explain, 'the client', 'the client, by the name of an account')
    .addOption(
      new Option('--series <series>', 'read it as this Dovecot does; auto: as the backend, or as both')
        .choices(['auto', ...allSeries])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--client <client>',
        "the client's release, 2.3 or 2.4, or its minor (default: 2.4); it changes what -A means",
      ).argParser(parseClient),
    )
    .option('--granted', 'as under a grant of a rule of on_request', false)
    .option('--user <name>', 'the mailbox user of the command line', '')
    .addOption(
      new Option(
        '--lines <file>',
        'instead, each call of doveadm in this script or crontab; -: stdin; --user: where a variable names it',
      ).conflicts(['socket', 'json']),
    )
    .option('--json', 'print JSON', false)
    .action(async (words: string[], flags: ExplainFlags, command: Command) => {
      const { uid, account, user, json, client: clientMinor, granted: isGranted } = flags;
      const series = flags.series === 'auto' ? undefined : flags.series;
      const [id = ''] = words;
      if (words.length === 1 && recordId.test(id))
        command.error(`error: explain takes a command; dovegate audit show ${id} prints the record`);
      const from = placeOf(flags, command);
      const run = await import('./explain.js');
      if ((flags.lines === undefined) === (words.length === 0))
        command.error("error: either a command, or '--lines <file>'");
      if ('socket' in from) return end(await run.explain({ user, words, json, ...from }, needs.ask));
      const asker = { ...from, uid, account, series, clientMinor, isGranted, user, words, json };
      end(
        flags.lines === undefined
          ? await run.explain(asker, needs.ask)
          : await run.explainLines({ ...asker, file: flags.lines }),
      );
    });
  const can = program
    .command('can')
    .description('print what a listener may do: commands, users, conditions and limits')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listenerHelp))
    .addOption(socketOption());
  withClient(can, 'of this user', 'of this account')
    .addOption(
      new Option('--http <url>', 'ask over the HTTP API instead: https://HOST:PORT, unix:PATH').conflicts(
        notWithHttp,
      ),
    )
    .option('--key-file <file>', 'the key for --http; one newline at its end is not part of it')
    .option('--ca <file>', "authorities for --http (default: the system's)")
    .option('--json', 'print JSON', false)
    .action(async ({ uid, account, json, http, keyFile, ca, ...where }: CanFlags, command: Command) => {
      const { can: run } = await import('./can.js');
      if (http !== undefined) return end(await run({ json, http, keyFile, ca }, needs.ask));
      const from = placeOf(where, command);
      end(await run({ json, ...('socket' in from ? from : { ...from, uid, account }) }, needs.ask));
    });
  program
    .command('test')
    .description('run the policy tests of a configuration')
    .addOption(configOption())
    .option('--coverage', 'print the rules that nothing exercises', false)
    .option(
      '--replay <dir>',
      'judge the records of an audit journal instead, and print decisions that would change',
    )
    .option(
      '--candidate <file>',
      'with --replay: a file with policies, as suggest prints it, in the place of those',
    )
    .option('--accept-holes', 'with --replay: end by what was judged, though records are missing', false)
    .action(async ({ replay, ...options }: TestFlags, command: Command) => {
      if (replay === undefined && (options.acceptHoles || options.candidate !== undefined))
        command.error("error: '--accept-holes' and '--candidate' go with '--replay <dir>'");
      if (replay === undefined) end((await import('./test.js')).test(options, await needs.whyUnproven()));
      else end(await needs.replay({ ...options, directory: replay }));
    });
}

/** Options that need the files conflict with the daemon, which knows the client. */
function socketOption(...more: readonly string[]): Option {
  const help = 'ask the daemon at this socket instead, as the user who runs this; no file is read';
  return new Option('--socket <path>', help).conflicts(['config', 'listener', 'uid', 'account', ...more]);
}

const recordId = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** Ends with wrong usage if neither source is named. */
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
  const series = allSeries.find((each) => each === text);
  if (series !== undefined) return Math.max(...minorsOf(series));
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be 2.3, 2.4 or the minor of a protocol version.');
}
