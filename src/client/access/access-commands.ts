// The command lines of access on request: ask, list, approve, refuse, revoke, review, grant. Each goes to a listener's socket or to the
// HTTP API as the calling user; no configuration is read.

import { type Command, Option } from 'commander';
import {
  type AccessArgument,
  type AccessStep,
  accessArguments,
  accessSteps,
  countMax,
  isPositional,
  optionOf,
  verbRow,
} from '../../doveadm/verbs/verbs.js';
import { type End, numberParser, parseWait, several } from '../../host/output/run-commands.js';
import type { AskOptions, DecideOptions, PlaceOptions } from './ask-access.js';

export function addAccess(program: Command, end: End): void {
  const add = (verb: 'request' | 'grant' | 'requests' | AccessStep): Command => {
    const { help, takes, needs = [] } = verbRow(verb);
    const command = withPlace(program.command(verb).description(help)).option('--json', 'print JSON', false);
    for (const name of takes) {
      if (isPositional(name)) command.argument(name === 'command' ? '<command...>' : '<id>', helpOf(name));
      else if (helpOf(name) !== '')
        command.addOption(optionFor(name).makeOptionMandatory(needs.includes(name)));
    }
    return command;
  };
  add('request')
    .option('--wait <duration>', 'wait so long for the decision', parseWait)
    .action(async (words: string[], options: AskOptions) => {
      end(await (await import('./ask-access.js')).request(options, words));
    });
  add('grant').action(async (words: string[], options: AskOptions) => {
    end(await (await import('./ask-access.js')).grant(options, words));
  });
  add('requests')
    .argument('[id]', verbRow('access').help)
    .action(async (id: string | undefined, options: PlaceOptions) => {
      end(await (await import('./ask-access.js')).requests(options, id));
    });
  for (const step of accessSteps) {
    const command = add(step);
    if (step === 'revoke')
      command.option('--admin <path>', 'the admin socket, as an operator of the gate, instead of a listener');
    command.action(async (id: string, { admin: socket, ...options }: DecideOptions) => {
      if (socket === undefined) return end(await (await import('./ask-access.js')).decide(step, options, id));
      const { pathOf, post } = await import('../../gate/cli/operate.js');
      end(await post({ config: '', socket }, pathOf('access', id, 'revoke')));
    });
  }
}

function helpOf(name: AccessArgument): string {
  const row = accessArguments[name];
  return 'help' in row ? row.help : '';
}

function optionFor(name: AccessArgument): Option {
  const { shape } = accessArguments[name];
  const value = { duration: 'duration', count: 'count', texts: 'name', text: 'principal', reason: 'text' }[
    shape
  ];
  const option = new Option(`--${optionOf(name)} <${name === 'to' ? 'principal' : value}>`, helpOf(name));
  if (shape === 'duration') return option.argParser(parseWait);
  if (shape === 'count') return option.argParser(numberParser(1, countMax));
  return shape === 'texts' ? option.argParser(several) : option;
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
