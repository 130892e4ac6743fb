// The command line of `dovegate send`. src/main.ts loads it without the other subcommands, because scripts call it once for each mailbox.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { wrongUsage } from '../../host/output/output.js';
import { type End, numberParser, parseWait, runCommands } from '../../host/output/run-commands.js';
import type { BulkOptions } from '../bulk/bulk.js';
import { parsePace } from '../bulk/pace.js';
import type { SendOptions } from './doveadm.js';
import { allFormats } from './row-printer.js';

/** As `runDovegate`, where the first argument is `send`. */
export function runSend(args: readonly string[]): Promise<number> {
  return runCommands(args, addSend);
}

export function addSend(program: Command, end: End): void {
  program
    .command('send')
    .description('send one command to a doveadm server; print rows, log lines and exit code as doveadm does')
    .option(
      '--socket <where>',
      'the socket of dovegate or Dovecot: a path or HOST:PORT (default: DOVEADM_SOCKET, else client.yaml)',
    )
    .option('--user <name>', 'the mailbox user')
    .option(
      '--users <list>',
      'a command for each user of a file, of stdin (-), or of a mask such as *@example.com',
    )
    .addOption(new Option('-A').hideHelp())
    .option('--rate <pace>', 'with --users: commands at most, as 10/s, 100/m or 500/h', readPace)
    .option('--jobs <count>', 'with --users: commands at once, 1 to 64 (default: 1)', numberParser(1, 64))
    .option('--resume <file>', 'with --users: notes there how far it is, and goes on from there')
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
    .option('--http <url>', 'the HTTP API instead: https://HOST:PORT, http:// to this machine, unix:PATH')
    .option('--key-file <file>', 'the key for --http; one newline at its end is not part of it')
    .option(
      '--request',
      'where policy denies it: ask for it, as dovegate request does, wait, and send it once granted',
    )
    .option('--wait <duration>', 'with --request: how long (default: 10m)', parseWait)
    .option('--dry-run', 'ask dovegate what would become of the command, which is not run')
    .option('--timeout <duration>', 'give up after 30s, 10m, ...', parseWait)
    .option('--verbose', 'ask for more log lines', false)
    .option('--debug', 'ask for debug log lines', false)
    .argument('<command...>', 'after --: the command and its arguments')
    .action(async (words: string[], options: SendOptions & Partial<BulkOptions> & RequestOptions) => {
      const { users, rate, jobs, resume, wait } = options;
      if (options.A === true) throw wrongUsage((await import('./doveadm.js')).onlyAsDoveadm);
      if (options.request === true) {
        if (users !== undefined || options.dryRun === true)
          throw wrongUsage('--request goes without --users and --dry-run');
        const { sendRequesting } = await import('../access/ask-access.js');
        const { send } = await import('./doveadm.js');
        const sendIt = (onDenied?: () => void) => send(options, words, onDenied);
        return end(await sendRequesting(options, words, wait ?? waitDefaultMs, sendIt));
      }
      if (wait !== undefined) throw wrongUsage('--wait is for --request');
      if (users === undefined) {
        if ([rate, jobs, resume].some((option) => option !== undefined))
          throw wrongUsage('--rate, --jobs and --resume are for --users');
        return end(await (await import('./doveadm.js')).send(options, words));
      }
      if (options.user !== undefined || options.verbose || options.debug)
        throw wrongUsage('--users goes without --user, --verbose and --debug');
      end(await (await import('../bulk/bulk.js')).bulk({ ...options, users }, words));
    });
}

interface RequestOptions {
  /** Of doveadm, for a sentence that says what to write here. */
  readonly A?: boolean;
  readonly request?: boolean;
  readonly wait?: number;
}

const waitDefaultMs = 600_000;

function readPace(text: string): number {
  const pace = parsePace(text);
  if (pace === undefined) throw new InvalidArgumentError('It must be a pace such as 10/s, 100/m or 500/h.');
  return pace;
}
