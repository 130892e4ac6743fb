// The subcommands `dovegate prove` and `dovegate suggest`.

import { type Command, Option } from 'commander';
import {
  configOption,
  type End,
  listenerHelp,
  type Who,
  withClient,
} from '../../host/output/run-commands.js';
import { momentHelp, readMoment } from './audit.js';
import type { ProveOptions } from './prove.js';

interface SuggestFlags extends Who {
  readonly config: string;
  readonly listener?: string;
  readonly policy?: string;
  readonly all?: true;
  readonly since?: number;
}

export function addEvidenceCommands(program: Command, end: End): void {
  program
    .command('prove')
    .description(
      'decide a statement about the policies: it holds, a command line disproves it, or it is undecided',
    )
    .argument('<statement>', 'as: nobody but policy leads may destroy in mailboxes of "*@example.com"')
    .addOption(configOption())
    .option('--against <file>', 'the configuration before the change, for: nobody may do more than before')
    .option('--json', 'print JSON', false)
    .action(async (statement: string, options: ProveOptions) =>
      end((await import('./prove.js')).prove(statement, options)),
    );
  const suggest = program
    .command('suggest')
    .description('print the smallest readable policy that allows what the journal shows of a listener')
    .addOption(configOption())
    .addOption(new Option('--listener <name>', listenerHelp))
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
      const { suggest: run } = await import('./suggest.js');
      if (all === true) return end(await run({ config, isForAll: all, sinceMs }));
      if (policy !== undefined) return end(await run({ config, policy, sinceMs }));
      if (name !== undefined) return end(await run({ config, listener: name, uid, account, sinceMs }));
      command.error("error: one of '--listener <name>', '--policy <name>' and '--all'");
    },
  );
}
