// The subcommands of `dovegate audit fleet` and their options. The code of a subcommand is imported when it is called.

import { type Command, Option } from 'commander';
import { CommandFault, formatFault } from '../../host/output/output.js';
import { openScreen, type Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { StoreFault, type StoreFaultCode } from '../../host/ports/store.js';
import type { PolicyFlags } from './fleet-policy.js';
import type { VerifyFlags } from './fleet-verify.js';

const standardFleet = '/etc/dovegate/fleet.yaml';

interface Flags {
  readonly config: string;
  readonly json?: boolean;
}

const codes: Readonly<Record<StoreFaultCode, number>> = {
  away: exitCodes.unavailable,
  refused: exitCodes.notPermitted,
  gone: exitCodes.configuration,
  'too-large': exitCodes.unavailable,
  'bad-answer': exitCodes.unavailable,
};

export function registerFleet(audit: Command, end: (exitCode: number) => void): void {
  const fleet = audit
    .command('fleet')
    .description(
      'the journals of many gates, in one store: verify, watch, status, policy; audit search --fleet reads them',
    );
  const add = (name: string, summary: string): Command =>
    fleet
      .command(name)
      .description(summary)
      .addOption(new Option('--config <file>', 'the settings of the fleet').default(standardFleet));

  const run = async (work: (screen: Screen) => Promise<number>): Promise<void> => {
    const screen = openScreen();
    try {
      end(await work(screen));
    } catch (fault) {
      if (!(fault instanceof CommandFault) && !(fault instanceof StoreFault)) throw fault;
      screen.complain(`dovegate: ${formatFault(fault)}`);
      end(fault instanceof CommandFault ? fault.exitCode : codes[fault.code]);
    }
  };

  add('verify', 'read what is new in the store, and say whether anything is missing or was changed')
    .option('--whole', 'read everything again; findings that were accepted stay accepted', false)
    .option('--checkpoint <file>', 'a line that was kept elsewhere: its heads must be there; implies --whole')
    .option('--accept', 'from now on, do not report what earlier runs found in the trail', false)
    .option('--json', 'one JSON document', false)
    .action((flags: Flags & VerifyFlags) =>
      run(async (screen) => (await import('./fleet-verify.js')).fleetVerify(screen, flags.config, flags)),
    );

  add('watch', 'verify for ever: findings as JSON lines, metrics, and a status for others').action(
    (flags: Flags) =>
      run(async (screen) => (await import('./fleet-watch.js')).fleetWatch(screen, flags.config)),
  );

  add('policy', 'print what the bucket must let a gate do, or this verifier (its name), as a bucket policy')
    .argument('<host>', 'the word of the gate, or the name of this verifier')
    .option(
      '--principal <name>',
      'who has the credential, as the server writes it',
      'arn:aws:iam:::user/HOST',
    )
    .option('--aws', 'for a bucket of AWS: nothing is put without the condition that it is not there', false)
    .action((host: string, flags: Flags & PolicyFlags) =>
      run(async (screen) => {
        const { fleetPolicy } = await import('./fleet-policy.js');
        const principal = flags.principal.replace(/HOST$/, host);
        return fleetPolicy(screen, flags.config, host, { ...flags, principal });
      }),
    );

  add('rotate-key', 'replace the key that signs what was seen; the old key signs for the new one')
    .option('--new-key <file>', 'with checkpoint_key: the private key that replaces it (audit keygen)')
    .action(({ config, newKey }: Flags & { readonly newKey?: string }) =>
      run(async (screen) => (await import('./fleet-rotate-key.js')).fleetRotateKey(screen, config, newKey)),
    );

  add('status', 'print the gates as verify or watch saw them last, and what differs')
    .option('--json', 'the status as it was written', false)
    .action((flags: Flags) =>
      run(async (screen) =>
        (await import('./fleet-status.js')).fleetStatus(screen, flags.config, flags.json === true),
      ),
    );
}
