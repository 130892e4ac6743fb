// The command line of `dovegate`: subcommands and their options. The code of a subcommand is imported when it is called, so that
// the others cost no start time.

import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { uidOf } from '../adapters/host/accounts.js';
import { allSeries, type Series } from '../domain/language/commands/catalog.js';
import { costDefault, costMax, costMin } from '../domain/people/identity/credentials.js';
import { minorsOf } from '../protocol/releases.js';
import { addAccess } from './access-commands.js';
import type { DoctorOptions } from './admin/doctor.js';
import type { KillOptions } from './admin/kill.js';
import type { lock as lockTarget, unlock as unlockTarget } from './admin/lock.js';
import type { ReloadOptions, WhichDaemon } from './admin/operate.js';
import type { StatusOptions } from './admin/status.js';
import { momentHelp, readMoment, registerAudit } from './audit/audit.js';
import type { InitFlags } from './begin/init.js';
import type { KeyNewOptions } from './begin/key-new.js';
import { addCompletion } from './completion.js';
import { registerFleet } from './fleet/fleet.js';
import type { PageOpenOptions, PageOptions } from './page-open.js';
import type { CheckOptions } from './policy/check.js';
import { configOption, type End, numberParser, parseWait, runCommands, several } from './run-commands.js';
import { addSend } from './send-command.js';
import { addServe } from './serve-command.js';
import type { ShipOptions } from './ship.js';

/** Runs the subcommand that the arguments after the program's name select, and resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  return runCommands(args, (program, end) => {
    addInit(program, end);
    addDoctor(program, end);
    addDaemonCommands(program, end);
    addPolicyCommands(program, end);
    addHashPassword(program, end);
    addKey(program, end);
    addPage(program, end);
    addShip(program, end);
    registerFleet(registerAudit(program, end), end, async (config) =>
      (await import('./admin/operate.js')).findDaemon({ config }),
    );
    addSend(program, end);
    addAccess(program, end);
    addCompletion(program, end);
  });
}

function addInit(program: Command, end: End): void {
  program
    .command('init')
    .description('write a configuration, a policy and its tests from five answers')
    .option('--directory <dir>', 'where the configuration shall lie')
    .addOption(
      new Option(
        '--backend <where>',
        'the Dovecot: local, unix:PATH or HOST:PORT; again for several, each with its mail users: HOST:PORT=*@example.com',
      ).argParser(several),
    )
    .addOption(
      new Option(
        '--team <name>',
        'who may use it: the name of a team (default with --members: support); again for several, each as NAME=MEMBERS',
      ).argParser(several),
    )
    .option('--observe', 'instead of a preset: policies that only observe, in a file of their own')
    .option('--members <names>', 'its users, and groups with % in front (default: the group of its name)')
    .option('--preset <name>', 'what they may do, docs/presets.md (default with --mail-users: support-desk)')
    .addOption(
      new Option('--with <name=value>', 'a parameter of the preset; may be given again').argParser(several),
    )
    .option(
      '--mail-users <patterns>',
      'in whose mailboxes: patterns as *@example.com (default: the domains of the local Dovecot, if they are known)',
    )
    .option('--journal <dir>', 'where the journal of all commands shall lie')
    .option('--defaults', 'take the default of everything that is not given, and ask nothing', false)
    .option('--run-as <user>', 'the user that the daemon runs as (default: dovegate if there is one)')
    .addOption(
      new Option('--tls <mode>', 'to HOST:PORT (default: starttls)').choices(['starttls', 'implicit']),
    )
    .option('--ca <file>', "authorities for the certificate of HOST:PORT (default: the system's)")
    .option('--server-name <name>', 'the name in the certificate (default: the host)')
    .addOption(
      new Option(
        '--password-file <file>',
        'the doveadm_password of HOST:PORT; again for several, in their order',
      ).argParser(several),
    )
    .option(
      '--shared-namespaces <prefixes>',
      'of the shared mailboxes there: none, or as shared/,Public/ (default: as doveconf says of the local one)',
    )
    .option('--replace', 'put the files that are there aside, as FILE.old', false)
    .option('--json', 'print JSON', false)
    .action(async (options: InitFlags) => {
      end(await (await import('./begin/init.js')).init(options));
    });
}

function addDoctor(program: Command, end: End): void {
  program
    .command('doctor')
    .description('look at the whole way as it is now: files, sockets, backends, journal, limits')
    .addOption(configOption())
    .addOption(
      new Option(
        '--user <name>',
        'a mail user whom the auth service is asked for, and whose mailboxes are counted through the daemon; may be given again',
      ).argParser(several),
    )
    .option('--json', 'print JSON', false)
    .action(async (options: DoctorOptions) => {
      end(await (await import('./admin/doctor.js')).doctor(options));
    });
}

function addDaemonCommands(program: Command, end: End): void {
  addServe(program, end);
  program
    .command('check')
    .description('print every problem of a configuration as FILE:LINE:COLUMN: message')
    .addOption(configOption())
    .option('--verbose', 'print the effective settings and rules too', false)
    .option('--json', 'print each problem as a line of JSON, with its code (docs/messages.md)', false)
    .option('--start', 'check too whether the disk has room for the journal of a start', false)
    .action(async (options: CheckOptions) => {
      end(await (await import('./policy/check.js')).check(options));
    });
  const withDaemon = (command: Command): Command =>
    command
      .addOption(configOption('the configuration file, which names the admin socket; it may have problems'))
      .option('--socket <path>', 'the admin socket itself; no file is read then');
  withDaemon(program.command('status'))
    .description('print listeners, backends and running commands of the daemon')
    .option('--json', "print the daemon's answer, as JSON", false)
    .option('--watch', 'print it again every two seconds', false)
    .action(async (options: StatusOptions) => {
      end(await (await import('./admin/status.js')).status(options));
    });
  withDaemon(program.command('kill'))
    .description('end one running command, by its id in status, or all that have run longer')
    .argument('[id]')
    .option('--older-than <duration>', 'all commands that have run for 30s, 10m, ...', parseWait)
    .option('--dry-run', 'print what --older-than would end', false)
    .option('--json', 'print what --older-than ended, as JSON', false)
    .action(async (id: string | undefined, options: KillOptions, command: Command) => {
      const isOne = id !== undefined;
      if (isOne === (options.olderThan !== undefined))
        command.error("error: either an id, or '--older-than <duration>'");
      if (options.olderThan === 0)
        command.error("error: '--older-than' is more than 0: what has just begun is ended by its id");
      if (isOne && (options.dryRun || options.json))
        command.error("error: '--dry-run' and '--json' are for '--older-than <duration>'");
      end(await (await import('./admin/kill.js')).kill(id, options));
    });
  withDaemon(program.command('backend'))
    .description('take a backend out of service (drain), or back (enable); survives a restart')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<backend>')
    .option('--reason <text>', 'why it is drained; status, page and journal say it')
    .action(async (action: string, name: string, options: DrainOptions, command: Command) => {
      const { reason } = options;
      if (reason !== undefined && action !== 'drain') command.error("error: '--reason' is for drain");
      const { pathOf, post, refuseUnsaid } = await import('./admin/operate.js');
      if (reason !== undefined) refuseUnsaid(reason);
      const why = reason === undefined ? [] : [reason];
      end(await post(options, pathOf('backend', name, action, ...why)));
    });
  withDaemon(program.command('lock'))
    .description(
      'stop a person, key, listener, backend or mail user at once, for a time; or hold the mail of a mail user',
    )
    .argument(
      '<target>',
      'a person of persons, user or account; or key:NAME, listener:NAME, backend:NAME, user:NAME',
    )
    .option(
      '--for <duration>',
      'how long: 30m, 2h, 1m to 7d; a hold at most 3650d, and without it until two persons lift it',
      parseWait,
    )
    .option(
      '--destroying',
      'a hold of user:NAME: stop only what could destroy, hide, move or change that mail; two persons lift it',
      false,
    )
    .requiredOption('--reason <text>', 'why; status, page, journal and the client that is refused say it')
    .option('--kill', 'end their commands under way, too', false)
    .action(async (target: string, options: Parameters<typeof lockTarget>[1]) => {
      end(await (await import('./admin/lock.js')).lock(target, options));
    });
  withDaemon(program.command('unlock'))
    .description(
      'lift a lock or hold, by its id in status, or all of a target; of a hold as one of two persons',
    )
    .argument('<target>')
    .requiredOption('--reason <text>', 'why; the journal says it')
    .action(async (target: string, options: Parameters<typeof unlockTarget>[1]) => {
      end(await (await import('./admin/lock.js')).unlock(target, options));
    });
  withDaemon(program.command('confirm'))
    .description('of the uids that a user of persons had, let only the newest count; status lists such users')
    .argument('<user>')
    .action(async (user: string, options: WhichDaemon) => {
      const { pathOf, post } = await import('./admin/operate.js');
      end(await post(options, pathOf('user', user, 'confirm')));
    });
  withDaemon(program.command('reload'))
    .description('make the daemon read its configuration again; if it has problems, the old one is kept')
    .option(
      '--pid <pid>',
      'the daemon, if it has no admin socket: it gets a SIGHUP if the file has no problems (default: $MAINPID)',
    )
    .action(async (options: ReloadOptions) => {
      end(await (await import('./admin/operate.js')).reload(options));
    });
}

interface Who {
  uid?: number;
  account?: string;
}

interface DrainOptions extends WhichDaemon {
  readonly reason?: string;
}

interface Where {
  readonly config: string;
  readonly listener?: string;
  readonly socket?: string;
}

interface SuggestFlags extends Who {
  readonly config: string;
  readonly listener?: string;
  readonly policy?: string;
  readonly all?: true;
  readonly since?: number;
}

interface TestFlags {
  readonly config: string;
  readonly coverage: boolean;
  readonly replay?: string;
  readonly candidate?: string;
  readonly acceptHoles: boolean;
}

interface ProveFlags {
  readonly config: string;
  readonly against?: string;
  readonly json: boolean;
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

function addPolicyCommands(program: Command, end: End): void {
  const listener = 'the listener, by its name in the configuration';
  const withClient = (command: Command, user: string, account: string): Command =>
    command
      .addOption(
        new Option('--uid <user>', `${user}, by the uid or the name on this machine`).argParser(parseUid),
      )
      .addOption(new Option('--account <name>', account).conflicts('uid'));
  const explain = program
    .command('explain')
    .description('print what would become of a command line, or of those of a script, and why')
    .argument('[command...]', 'after --: the words of the command line, its name split or joined')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listener))
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
      const run = await import('./policy/explain.js');
      if ((flags.lines === undefined) === (words.length === 0))
        command.error("error: either a command, or '--lines <file>'");
      if ('socket' in from) return end(await run.explain({ user, words, json, ...from }));
      const asker = { ...from, uid, account, series, clientMinor, isGranted, user, words, json };
      end(
        flags.lines === undefined
          ? await run.explain(asker)
          : await run.explainLines({ ...asker, file: flags.lines }),
      );
    });
  const can = program
    .command('can')
    .description('print what a listener may do: commands, users, conditions and limits')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listener))
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
      const { can: run } = await import('./policy/can.js');
      if (http !== undefined) return end(await run({ json, http, keyFile, ca }));
      const from = placeOf(where, command);
      end(await run({ json, ...('socket' in from ? from : { ...from, uid, account }) }));
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
      if (replay === undefined) end((await import('./policy/test.js')).test(options));
      else end(await (await import('./policy/replay.js')).replay({ ...options, directory: replay }));
    });
  program
    .command('prove')
    .description(
      'decide a statement about the policies: it holds, a command line disproves it, or it is undecided',
    )
    .argument('<statement>', 'as: nobody but policy leads may destroy in mailboxes of "*@example.com"')
    .addOption(configOption())
    .option('--against <file>', 'the configuration before the change, for: nobody may do more than before')
    .option('--json', 'print JSON', false)
    .action(async (statement: string, options: ProveFlags) =>
      end((await import('./policy/prove.js')).prove(statement, options)),
    );
  const suggest = program
    .command('suggest')
    .description('print the smallest readable policy that allows what the journal shows of a listener')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listener))
    .addOption(
      new Option('--policy <name>', 'what all people of this policy did, at whatever listener').conflicts([
        'listener',
        'uid',
        'account',
      ]),
    )
    .addOption(
      new Option('--all', 'every policy, in one file').conflicts(['listener', 'policy', 'uid', 'account']),
    )
    .addOption(
      new Option('--since <when>', `how far to look back in the audit journal: ${momentHelp}`)
        .argParser((text) => readMoment(text, 'start'))
        .default(undefined, '7d'),
    );
  withClient(suggest, 'what this user did', 'what this account did').action(
    async ({ since, policy, listener: name, config, uid, account, all }: SuggestFlags, command: Command) => {
      const sinceMs = since ?? readMoment('7d', 'start');
      const { suggest: run } = await import('./policy/suggest.js');
      if (all === true) return end(await run({ config, isForAll: all, sinceMs }));
      if (policy !== undefined) return end(await run({ config, policy, sinceMs }));
      if (name !== undefined) return end(await run({ config, listener: name, uid, account, sinceMs }));
      command.error("error: one of '--listener <name>', '--policy <name>' and '--all'");
    },
  );
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

function parseUid(text: string): number {
  const uid = /^\d{1,10}$/.test(text) ? Number(text) : uidOf(text);
  if (uid !== undefined) return uid;
  throw new InvalidArgumentError('It must be a number, and no user of this machine has this name.');
}

function addHashPassword(program: Command, end: End): void {
  program
    .command('hash-password')
    .description('read a password (from the terminal, or stdin) and print its hash for an account')
    .addOption(
      new Option(
        '--cost <n>',
        `2^n steps of scrypt, ${costMin} to ${costMax}; one more is twice the time and memory of each login`,
      )
        .argParser(numberParser(costMin, costMax))
        .default(costDefault),
    )
    .action(async (options: { readonly cost: number }) => {
      end(await (await import('./begin/hash-password.js')).hashPasswordCommand(options));
    });
}

function addKey(program: Command, end: End): void {
  program
    .command('key')
    .description('keys of programs that come by HTTP')
    .command('new')
    .description('make a key, and print it once with the lines for the configuration')
    .argument('<name>', 'the program; with its listener it is the principal, NAME@LISTENER')
    .option('--policy <policy>', 'the policy of the key (default: one of the same name)')
    .option('--expires <date>', 'a day or a time, or never (default: in a year)')
    .addOption(
      new Option(
        '--from <network>',
        'a network that it may be used from; may be given again (default: any)',
      ).argParser(several),
    )
    .option('--json', 'print JSON', false)
    .action(async (name: string, options: KeyNewOptions) => {
      end((await import('./begin/key-new.js')).keyNew(name, options));
    });
}

function addShip(program: Command, end: End): void {
  program
    .command('ship')
    .description("send records and notices to the configuration's receivers, beside dovegate serve")
    .addOption(configOption('the configuration file, which names audit.door; it need not be readable'))
    .option('--door <path>', 'audit.door itself; no file is read then')
    .option(
      '--state <directory>',
      'its own state: how far receivers are; default: $STATE_DIRECTORY, else /var/lib/dovegate-ship',
    )
    .action(async (options: ShipOptions) => {
      end(await (await import('./ship.js')).serveShip(options));
    });
}

function addPage(program: Command, end: End): void {
  const page = program
    .command('page')
    .description("the page's own process, beside dovegate serve")
    .addOption(configOption('the configuration file, which names admin.door; it need not be readable'))
    .option('--door <path>', 'admin.door itself; no file is read then')
    .action(async (options: PageOptions) => {
      end(await (await import('./page-open.js')).servePage(options));
    });
  page
    .command('open')
    .description('print a link that opens the page: once, within a minute, for the user who runs this')
    .addOption(configOption('the configuration file, which names admin.page.unix'))
    .option('--socket <path>', 'admin.page.unix itself; no file is read then')
    .action(async (_own: PageOpenOptions, command: Command) => {
      // `page` takes `--config` wherever it stands.
      const options = command.optsWithGlobals<PageOpenOptions>();
      end(await (await import('./page-open.js')).openLink(options));
    });
}
