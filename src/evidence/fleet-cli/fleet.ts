// The subcommands of `dovegate audit fleet` and their options. The code of a subcommand is imported when it is called.

import { type Command, Option } from 'commander';
import { standardConfig, standardConfigHelp } from '../../host/machine/packaged.js';
import { CommandFault, formatFault } from '../../host/output/output.js';
import { openScreen, type Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { NatsFaultCode } from '../nats/fault.js';
import type { InitFlags } from './fleet-init.js';
import type { FindDaemon, JoinFlags } from './fleet-join.js';
import type { PrepareFlags } from './fleet-prepare.js';
import type { VerifyFlags } from './fleet-verify.js';

const standardFleet = '/etc/dovegate/fleet.yaml';

interface Flags {
  readonly config: string;
  readonly json?: boolean;
}

const codes: Readonly<Record<NatsFaultCode, number>> = {
  'library-missing': exitCodes.configuration,
  'dial-refused': exitCodes.unavailable,
  'dial-timeout': exitCodes.unavailable,
  'closed-early': exitCodes.unavailable,
  'tls-failed': exitCodes.configuration,
  'no-stream': exitCodes.configuration,
  'auth-rejected': exitCodes.notPermitted,
  'no-rights': exitCodes.notPermitted,
  'stream-full': exitCodes.notCarriedOut,
  'wrong-sequence': exitCodes.notCarriedOut,
  refused: exitCodes.notCarriedOut,
};

/** `audit`: the parent command. `findDaemon`: asks the daemon of a configuration. */
export function registerFleet(audit: Command, end: (exitCode: number) => void, findDaemon: FindDaemon): void {
  const fleet = audit
    .command('fleet')
    .description(
      'the journals of many gates, in one stream: prepare, join, verify, watch; audit search --fleet reads them',
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
      const { NatsFault } = await import('../nats/fault.js');
      if (!(fault instanceof CommandFault) && !(fault instanceof NatsFault)) throw fault;
      const isLost =
        fault instanceof NatsFault && fault.code === 'no-stream' && !fault.message.includes('fleet init');
      screen.complain(
        `dovegate: ${formatFault(fault)}${isLost ? '; to make it: dovegate audit fleet init' : ''}`,
      );
      end(fault instanceof CommandFault ? fault.exitCode : codes[fault.code]);
    }
  };

  add('prepare', 'make the keys and the files of the server, the gates and the verifier')
    .requiredOption('--server <name>', 'the host of the server as gates dial it, also with a port')
    .requiredOption('--hosts <names>', 'the gates, one word each, with commas: mail-gate-1,mail-gate-2')
    .option('--state <dir>', 'where the verifier keeps what it has seen', '/var/lib/dovegate-fleet')
    .option('--run-as <user>', 'the user that the verifier runs as (default: dovegate if there is one)')
    .action((flags: Flags & PrepareFlags) =>
      run(async (screen) => (await import('./fleet-prepare.js')).fleetPrepare(screen, flags.config, flags)),
    );

  add(
    'issue',
    'new credentials, which end older ones: for a gate, which is added, or for verifier, administrator',
  )
    .argument(
      '<name>',
      'the gate; verifier; administrator; server, which gets a certificate; operator: all keys',
    )
    .action((name: string, flags: Flags) =>
      run(async (screen) => (await import('./fleet-prepare.js')).fleetIssue(screen, flags.config, name)),
    );

  add('remove', 'end the credentials of a gate, and take it out of the settings; its stream stays')
    .argument('<name>', 'the gate')
    .action((name: string, flags: Flags) =>
      run(async (screen) => (await import('./fleet-prepare.js')).fleetRemove(screen, flags.config, name)),
    );

  fleet
    .command('join')
    .description('make this gate send its journal, and print its public key')
    .argument('[file]', 'what prepare or issue made for this gate; default: standard input')
    .addOption(
      new Option('--config <file>', 'the configuration of the gate').default(
        standardConfig(),
        standardConfigHelp,
      ),
    )
    .addOption(
      new Option('--beside', 'send to this fleet, too: the host moves').default(false).conflicts('instead'),
    )
    .option('--instead', 'send to this fleet alone, under this name, whatever the gate sent to before', false)
    .action((file: string | undefined, flags: Flags & Omit<JoinFlags, 'file'>) =>
      run(async (screen) => {
        const { fleetJoin } = await import('./fleet-join.js');
        return fleetJoin(screen, { ...flags, file }, findDaemon);
      }),
    );

  add('init', 'give the server the accounts of the gates, and make the streams')
    .option('--print', 'print the configuration of the server; connect to no server', false)
    .option('--repair', 'change a stream that is weaker than it must be', false)
    .action((flags: Flags & InitFlags) =>
      run(async (screen) => (await import('./fleet-init.js')).fleetInit(screen, flags.config, flags)),
    );

  add('verify', 'read what is new in the stream, and say whether anything is missing or was changed')
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
