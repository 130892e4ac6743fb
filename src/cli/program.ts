// The command line of `dovegate`: subcommands and their options. The code of a subcommand is imported when it is called: half of the
// program would be loaded for nothing in any other, and somebody waits.

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { programVersion } from '../adapters/host/program.js';
import { costDefault, costMax, costMin } from '../domain/identity/credentials.js';
import { parseDuration } from '../domain/policy/duration.js';
import { exitCodes } from '../ports/exit-codes.js';
import { registerAudit } from './audit/audit.js';
import type { CheckOptions } from './check.js';
import { addCompletion } from './completion/completion.js';
import type { SendOptions } from './doveadm/doveadm.js';
import type { ReloadOptions, WhichDaemon } from './operate.js';
import { allFormats } from './output/row-printer.js';
import { addPolicyCommands, configOption } from './policy-commands.js';
import type { StatusOptions } from './status.js';

/** Runs the subcommand that the arguments after the program's name call for, and resolves to the exit code. */
export async function runDovegate(args: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok;
  const end = (ended: number): void => {
    code = ended;
  };
  const program = new Command('dovegate')
    .description('A gate in front of doveadm: policy per team, an audit record before every command.')
    .version(programVersion, '--version')
    .showHelpAfterError('(dovegate --help lists the subcommands)')
    .exitOverride();
  program
    .command('serve')
    .description('run the daemon in the foreground; logs to stdout as JSON lines (pretty on a terminal)')
    .addOption(configOption())
    .action(async (options: { readonly config: string }) => {
      end(await (await import('../daemon/serve.js')).serve(options));
    });
  program
    .command('check')
    .description('print every problem of a configuration as FILE:LINE:COLUMN: message; exit 0 or 78')
    .addOption(configOption())
    .option('--verbose', 'print the effective settings and rules too', false)
    .option('--json', 'print each problem as a line of JSON, with its code (docs/messages.md)', false)
    .action(async (options: CheckOptions) => {
      end(await (await import('./check.js')).check(options));
    });
  addOperatorCommands(program, end);
  addPolicyCommands(
    program,
    {
      explain: async (options) => (await import('./explain.js')).explain(options),
      can: async (options) => (await import('./can.js')).can(options),
      test: async (options) => (await import('./test.js')).test(options),
      replay: async (options) => (await import('./replay.js')).replay(options),
      suggest: async (options) => (await import('./suggest.js')).suggest(options),
    },
    end,
  );
  addHashPassword(program, end);
  registerAudit(program, end);
  addSend(program, end);
  addCompletion(program, end);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (fault) {
    if (!(fault instanceof CommanderError)) throw fault;
    // commander has printed the message; help and version are no errors.
    return fault.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

type End = (code: number) => void;

function addOperatorCommands(program: Command, end: End): void {
  const withDaemon = (command: Command): Command =>
    command
      .addOption(configOption('the configuration file, which names the admin socket; it may have problems'))
      .option('--socket <path>', 'the admin socket itself; no file is read then');
  withDaemon(program.command('status'))
    .description('print listeners, backends and running commands of the daemon; exit 69 if it does not run')
    .option('--json', "print the daemon's answer, as JSON", false)
    .option('--watch', 'print it again every two seconds', false)
    .action(async (options: StatusOptions) => {
      end(await (await import('./status.js')).status(options));
    });
  withDaemon(program.command('kill'))
    .description('end one running command, by its id in status')
    .argument('<id>')
    .action(async (id: string, options: WhichDaemon) => {
      end(await (await import('./operate.js')).kill({ ...options, id }));
    });
  withDaemon(program.command('backend'))
    .description('take a backend out of service (drain), or back (enable); survives a restart')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<name>')
    .action(async (action: 'drain' | 'enable', name: string, options: WhichDaemon) => {
      end(await (await import('./operate.js')).backend({ ...options, action, name }));
    });
  withDaemon(program.command('reload'))
    .description(
      'make the daemon read its configuration again; exit 78 if it has problems and the old one is kept',
    )
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
        .argParser(parseCost)
        .default(costDefault),
    )
    .action(async (options: { readonly cost: number }) => {
      end(await (await import('./hash-password.js')).hashPasswordCommand(options));
    });
}

function parseCost(text: string): number {
  const cost = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (cost >= costMin && cost <= costMax) return cost;
  throw new InvalidArgumentError(`It must be a number from ${costMin} to ${costMax}.`);
}

function addSend(program: Command, end: End): void {
  program
    .command('send')
    .description('send one command to a doveadm server; print rows, log lines and exit code as doveadm does')
    .option(
      '--socket <where>',
      'the socket of dovegate or Dovecot: a path or HOST:PORT (default: DOVEADM_SOCKET, else client.yaml)',
    )
    .option('--user <name>', 'the mailbox user')
    .option('--reason <text>', 'why, for the audit journal')
    .addOption(new Option('--format <format>', 'how to print rows').choices(allFormats))
    .option('--account <name>', 'the account to log in with, over TCP')
    .option('--password-file <file>', 'the password of the account; one newline at its end is not part of it')
    .option(
      '--ca <file>',
      "authorities that the server's certificate is checked against (default: the system's)",
    )
    .option('--certificate <file>', 'a client certificate, for servers that authenticate by it')
    .option('--key <file>', 'the key of --certificate')
    .addOption(
      new Option('--tls <mode>', 'over TCP; off on loopback only (default: starttls)').choices([
        'starttls',
        'implicit',
        'off',
      ]),
    )
    .option('--timeout <duration>', 'give up after 30s, 10m, ...', parseTimeout)
    .option('--verbose', 'ask for more log lines', false)
    .option('--debug', 'ask for debug log lines', false)
    .argument('<command...>', 'after --: the command and its arguments')
    .action(async (words: string[], options: SendOptions) => {
      end(await (await import('./doveadm/doveadm.js')).send(options, words));
    });
}

function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with a unit, such as 30s or 10m.');
  return ms;
}
