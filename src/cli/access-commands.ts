// The command lines of access on request: ask, list, approve, refuse, revoke, review, grant. Each goes to a listener's socket or to the
// HTTP API as the calling user; no configuration is read.

import { type Command, Option } from 'commander';
import type { AskOptions, DecideOptions, PlaceOptions } from './access/ask-access.js';
import { type End, numberParser, parseWait } from './run-commands.js';

export function addAccess(program: Command, end: End): void {
  const asked = (name: string, description: string): Command =>
    withPlace(program.command(name).description(description)).option('--json', 'print JSON', false);
  const withTerms = (command: Command): Command =>
    command
      .option('--for <duration>', 'for less time than the rule offers: 30m, 1h, ...', parseWait)
      .addOption(
        new Option('--uses <count>', 'fewer uses than the rule offers').argParser(numberParser(1, 999_999)),
      );
  const withCommand = (command: Command): Command =>
    withTerms(command)
      .addOption(
        new Option('--user <name>', 'the mailbox user; may be given again').argParser(
          (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
        ),
      )
      .option('--reason <text>', 'why; the approver reads it')
      .argument('<command...>', 'after --: the command and its arguments');
  withCommand(asked('request', 'ask for a command that the policy denies; another person decides'))
    .option('--wait <duration>', 'wait so long for the decision', parseWait)
    .action(async (words: string[], options: AskOptions) => {
      end(await (await import('./access/ask-access.js')).request(options, words));
    });
  asked('requests', 'list own requests, and those that wait for you')
    .argument('[id]', 'one of them, in full')
    .action(async (id: string | undefined, options: PlaceOptions) => {
      end(await (await import('./access/ask-access.js')).requests(options, id));
    });
  const decide = (verb: 'approve' | 'refuse' | 'revoke' | 'review') => {
    return async (id: string, options: DecideOptions): Promise<void> => {
      end(await (await import('./access/ask-access.js')).decide(verb, options, id));
    };
  };
  withTerms(asked('approve', 'approve a request'))
    .argument('<id>', 'its id in requests')
    .action(decide('approve'));
  asked('refuse', 'refuse a request')
    .requiredOption('--reason <text>', 'why; the requester reads it')
    .argument('<id>', 'its id in requests')
    .action(decide('refuse'));
  asked('revoke', 'end a grant and its running commands at once, or withdraw a request')
    .option('--reason <text>', 'why')
    .option('--admin <path>', 'the admin socket, as an operator of the gate, instead of a listener')
    .argument('<id>', 'its id in requests')
    .action(async (id: string, options: DecideOptions & { readonly admin?: string }) => {
      const { admin: socket } = options;
      if (socket === undefined) return decide('revoke')(id, options);
      end(
        await (await import('./operate.js')).post(
          { config: '', socket },
          `/access/${encodeURIComponent(id)}/revoke`,
        ),
      );
    });
  withCommand(asked('grant', 'permit a command to somebody who did not ask; counts as one approval'))
    .requiredOption('--to <principal>', 'who gets it: NAME@LISTENER')
    .action(async (words: string[], options: AskOptions & { readonly to: string }) => {
      end(await (await import('./access/ask-access.js')).grant(options, words));
    });
  asked('review', 'mark a grant that needed no approval as reviewed')
    .argument('<id>', 'its id in requests')
    .action(decide('review'));
}

function withPlace(command: Command): Command {
  return command
    .option(
      '--socket <path>',
      'the socket of a listener, or HOST:PORT (default: DOVEADM_SOCKET, else client.yaml)',
    )
    .option('--http <url>', 'the HTTP API instead: https://HOST:PORT, unix:PATH')
    .option('--key-file <file>', 'the key for --http; one newline at its end is not part of it')
    .option('--ca <file>', "authorities for --http (default: the system's)");
}
