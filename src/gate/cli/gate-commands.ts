// The subcommands for operators of a gate: init, doctor, serve, status, orders to a daemon, hash-password, key.

import { Argument, type Command, Option } from 'commander';
import { configOption, type End, numberParser, parseWait, several } from '../../host/output/run-commands.js';
import { costDefault, costMax, costMin } from '../../rules/identity/credentials.js';
import type { InitFlags } from '../begin/init.js';
import type { KeyNewOptions } from '../begin/key-new.js';
import type { MoveOptions } from '../begin/move.js';
import type { OtherLooks } from '../health/looks.js';
import type { DoctorOptions } from './doctor.js';
import type { KillOptions } from './kill.js';
import type { lock as lockTarget, unlock as unlockTarget } from './lock.js';
import type { ReloadOptions, WhichDaemon } from './operate.js';
import { addServe } from './serve-command.js';
import type { StatusOptions } from './status.js';

/** Parts that the gate may not import; the program hands them in. */
export interface GateNeeds {
  readonly looks: OtherLooks;
}

export function addGateCommands(program: Command, end: End, needs: GateNeeds): void {
  addInit(program, end);
  addDoctor(program, end, needs);
  addMove(program, end);
  addDaemonCommands(program, end);
  addHashPassword(program, end);
  addKey(program, end);
}

function addInit(program: Command, end: End): void {
  program
    .command('init')
    .description('write a configuration, a policy and its tests from five answers')
    .option('--directory <dir>', 'where the configuration shall lie')
    .option(
      '--backend <where>',
      'the Dovecot: local, unix:PATH or HOST:PORT; again for several, each with its mail users: HOST:PORT=*@example.com',
      several,
    )
    .option(
      '--team <name>',
      'who may use it: the name of a team (default with --members: support); again for several, each as NAME=MEMBERS',
      several,
    )
    .option('--observe', 'instead of a preset: policies that only observe, in a file of their own')
    .option('--members <names>', 'its users, and groups with % in front (default: the group of its name)')
    .option('--preset <name>', 'what they may do, docs/presets.md (default with --mail-users: support-desk)')
    .option('--with <name=value>', 'a parameter of the preset; may be given again', several)
    .option(
      '--mail-users <patterns>',
      'in whose mailboxes: patterns as *@example.com (default: the domains of the local Dovecot, if they are known)',
    )
    .option('--journal <dir>', 'where the journal of all commands shall lie')
    .option('--defaults', 'take the default of everything that is not given, and ask nothing', false)
    .option(
      '--answers <file>',
      'the answers in a file (YAML: these options, with _ for -); with a configuration that is there it ends with 0',
    )
    .option('--run-as <user>', 'the user that the daemon runs as (default: dovegate if there is one)')
    .addOption(
      new Option('--tls <mode>', 'to HOST:PORT (default: starttls)').choices(['starttls', 'implicit']),
    )
    .option('--ca <file>', "authorities for the certificate of HOST:PORT (default: the system's)")
    .option('--server-name <name>', 'the name in the certificate (default: the host)')
    .option(
      '--password-file <file>',
      'the doveadm_password of HOST:PORT; again for several, in their order',
      several,
    )
    .option(
      '--shared-namespaces <prefixes>',
      'of the shared mailboxes there: none, or as shared/,Public/ (default: as doveconf says of the local one)',
    )
    .option('--replace', 'put the files that are there aside, as FILE.old', false)
    .option('--json', 'print JSON', false)
    .action(async (options: InitFlags) => {
      end(await (await import('../begin/init.js')).init(options));
    });
}

function addDoctor(program: Command, end: End, needs: GateNeeds): void {
  program
    .command('doctor')
    .description('look at the whole way as it is now: files, sockets, backends, journal, limits')
    .addOption(configOption())
    .option(
      '--user <name>',
      'a mail user whom the auth service is asked for, and whose mailboxes are counted through the daemon; may be given again',
      several,
    )
    .option('--json', 'print JSON', false)
    .action(async (options: DoctorOptions) => {
      end(await (await import('./doctor.js')).doctor(options, needs.looks));
    });
}

function addMove(program: Command, end: End): void {
  const move = program
    .command('move')
    .description('let scripts and crontabs call dovegate in the place of doveadm');
  const copies = ['--copies <dir>', 'where copies and their list lie', '/var/lib/dovegate-moved'] as const;
  move
    .command('jobs')
    .description(
      'print which calls of doveadm one line with PATH makes go to dovegate, and which not; --write adds the line',
    )
    .argument('<file...>', 'scripts, files of /etc/cron.d, and crontab:USER')
    .option('--write', 'write it; without this option nothing is changed', false)
    .option('--socket <path>', 'the listener for them (default: the only one that their user may open)')
    .option(...copies)
    .action(async (files: string[], options: MoveOptions) => {
      end((await import('../begin/move.js')).moveJobs(files, options));
    });
  move
    .command('back')
    .description('put jobs that were moved back as they were, and print what was changed since')
    .argument('[file...]', 'default: all')
    .option(...copies)
    .action(async (files: string[], options: MoveOptions) => {
      end((await import('../begin/move.js')).moveBack(files, options));
    });
}

function addDaemonCommands(program: Command, end: End): void {
  addServe(program, end);
  const withDaemon = (command: Command): Command =>
    command
      .addOption(configOption('the configuration file, which names the admin socket; it may have problems'))
      .option('--socket <path>', 'the admin socket itself; no file is read then');
  withDaemon(program.command('status'))
    .description('print listeners, backends and running commands of the daemon')
    .option('--json', "print the daemon's answer, as JSON", false)
    .option('--watch', 'print it again every two seconds', false)
    .action(async (options: StatusOptions) => {
      end(await (await import('./status.js')).status(options));
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
      end(await (await import('./kill.js')).kill(id, options));
    });
  withDaemon(program.command('backend'))
    .description('take a backend out of service (drain), or back (enable); survives a restart')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<backend>')
    .option('--reason <text>', 'why it is drained; status, page and journal say it')
    .action(async (action: string, name: string, options: DrainOptions, command: Command) => {
      const { reason } = options;
      if (reason !== undefined && action !== 'drain') command.error("error: '--reason' is for drain");
      const { pathOf, post, refuseUnsaid } = await import('./operate.js');
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
      end(await (await import('./lock.js')).lock(target, options));
    });
  withDaemon(program.command('unlock'))
    .description(
      'lift a lock or hold, by its id in status, or all of a target; of a hold as one of two persons',
    )
    .argument('<target>')
    .requiredOption('--reason <text>', 'why; the journal says it')
    .action(async (target: string, options: Parameters<typeof unlockTarget>[1]) => {
      end(await (await import('./lock.js')).unlock(target, options));
    });
  withDaemon(program.command('confirm'))
    .description('of the uids that a user of persons had, let only the newest count; status lists such users')
    .argument('<user>')
    .action(async (user: string, options: WhichDaemon) => {
      const { pathOf, post } = await import('./operate.js');
      end(await post(options, pathOf('user', user, 'confirm')));
    });
  withDaemon(program.command('reload'))
    .description('make the daemon read its configuration again; if it has problems, the old one is kept')
    .option(
      '--pid <pid>',
      'the daemon, if it has no admin socket: it gets a SIGHUP if the file has no problems (default: $MAINPID)',
    )
    .action(async (options: ReloadOptions) => {
      end(await (await import('./operate.js')).reload(options));
    });
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
      end(await (await import('../begin/hash-password.js')).hashPasswordCommand(options));
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
    .option(
      '--from <network>',
      'a network that it may be used from; may be given again (default: any)',
      several,
    )
    .option('--json', 'print JSON', false)
    .action(async (name: string, options: KeyNewOptions) => {
      end((await import('../begin/key-new.js')).keyNew(name, options));
    });
}

interface DrainOptions extends WhichDaemon {
  readonly reason?: string;
}
