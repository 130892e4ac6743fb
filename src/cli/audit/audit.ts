// The subcommands of `dovegate audit` and their options. It does not know what they do.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../adapters/host/clock.js';
import { standardConfigHelp } from '../../adapters/host/program.js';
import { holdProcess } from '../../adapters/host/signals.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { JournalFault } from '../../gateway/outcome/journal-fault.js';
import { CommandFault, formatFault } from '../output/command-fault.js';
import { openScreen, type Screen } from '../output/screen.js';
import { addFilterOptions, type FilterOptions, filterOf } from './audit-filter.js';
import { auditHmac, auditKeygen } from './audit-keys.js';
import type { Places } from './audit-places.js';
import { auditSearch } from './audit-search.js';
import { auditShow } from './audit-show.js';
import { auditTail } from './audit-tail.js';
import { auditVerify } from './audit-verify.js';

interface ConfigOption {
  readonly config?: string;
}

interface JsonOption {
  readonly json?: boolean;
}

interface VerifyFlags extends ConfigOption, JsonOption {
  readonly key: readonly string[];
  readonly checkpoint?: string;
  readonly from?: number;
  readonly unsigned?: boolean;
  readonly received?: boolean;
  readonly acceptKey?: boolean;
}

const configText = `the journal of this configuration (default: ${standardConfigHelp})`;
const placesText = 'directories of journals, or segments; instead of --config';

/** Adds `audit` to the program; `end` is told each exit code. */
export function registerAudit(program: Command, end: (exitCode: number) => void): void {
  const audit = program
    .command('audit')
    .description('verify, search and show the audit journal; make its keys');

  const run = async (work: (screen: Screen) => Promise<number>): Promise<void> => {
    const screen = openScreen();
    try {
      end(await work(screen));
    } catch (fault) {
      if (!(fault instanceof CommandFault) && !(fault instanceof JournalFault)) throw fault;
      screen.complain(`dovegate: ${formatFault(fault)}`);
      end(fault instanceof CommandFault ? fault.exitCode : exitCodes.configuration);
    }
  };

  audit
    .command('verify')
    .description(
      'whether a journal is what was written; file, line, seq and kind of what is not; exit 0 or 1',
    )
    .argument('[place...]', `${placesText}; FILE or - also with syslog lines (RFC 5424)`)
    .option('--config <file>', configText)
    .option('--key <file>', 'public or private key that must have signed; may be repeated', gather, [])
    .option('--from <seq>', 'begin with the segment that holds this record', parseSeq)
    .option('--checkpoint <file>', 'a checkpoint kept elsewhere, such as the last one in the log')
    .option('--received', 'what a syslog receiver stored: lines of others are skipped, copies left out')
    .option(
      '--accept-key',
      "accept this host's own key, which the journal ends with; for root, with --config",
    )
    .option('--unsigned', 'pass although signatures were not checked')
    .option('--json', 'one line of JSON for each journal')
    .action((paths: string[], flags: VerifyFlags) =>
      run((screen) =>
        auditVerify(screen, {
          places: placesOf(flags, paths),
          keys: flags.key,
          checkpoint: flags.checkpoint,
          fromSeq: flags.from,
          isUnsigned: flags.unsigned === true,
          isReceived: flags.received === true,
          isAccepting: flags.acceptKey === true,
          isJson: flags.json === true,
        }),
      ),
    );

  addFilterOptions(
    audit
      .command('search')
      .description('exchanges, one row each')
      .argument('[place...]', placesText)
      .option('--config <file>', configText),
  )
    .option('--json', 'one line of JSON for each exchange')
    .action((paths: string[], flags: ConfigOption & FilterOptions & JsonOption) =>
      run((screen) => {
        const filter = filterOf(flags);
        return auditSearch(screen, placesOf(flags, paths), filter, flags.json === true ? 'json' : 'table');
      }),
    );

  audit
    .command('show')
    .description('everything about one exchange, its log lines and its session included')
    .argument('<id>', 'its id, or the seq of one of its records')
    .argument('[place...]', placesText)
    .option('--config <file>', configText)
    .option('--json', 'its records, one line of JSON each')
    .action((id: string, paths: string[], flags: ConfigOption & JsonOption) =>
      run((screen) => auditShow(screen, placesOf(flags, paths), id, flags.json === true)),
    );

  audit
    .command('tail')
    .description('the last records, one a line')
    .argument('[place]', 'directory of a journal, instead of --config')
    .option('--config <file>', configText)
    .option('-f, --follow', 'go on with those that come')
    .option('-n, --lines <count>', 'how many', parseCount, 10)
    .option('--json', 'one line of JSON for each record')
    .action(
      (
        path: string | undefined,
        flags: ConfigOption & JsonOption & { readonly follow?: boolean; readonly lines: number },
      ) =>
        run(async (screen) => {
          const letGo = holdProcess();
          try {
            return await auditTail(screen, systemClock, {
              places: placesOf(flags, path === undefined ? [] : [path]),
              lines: flags.lines,
              isFollowed: flags.follow === true,
              isJson: flags.json === true,
            });
          } finally {
            letGo();
          }
        }),
    );

  addFilterOptions(
    audit
      .command('export')
      .description('exchanges for other programs, one row each; safe in a spreadsheet')
      .argument('[place...]', placesText)
      .option('--config <file>', configText)
      .addOption(new Option('--format <format>', 'of the rows').choices(['csv', 'json']).default('csv')),
  ).action((paths: string[], flags: ConfigOption & FilterOptions & { readonly format: 'csv' | 'json' }) =>
    run((screen) => auditSearch(screen, placesOf(flags, paths), filterOf(flags), flags.format)),
  );

  audit
    .command('hmac')
    .description('what a secret value looks like in records, for search --text')
    .argument('<value>', 'the value; -: read from standard input, so that no list of processes shows it')
    .argument('[directory]', 'of the journal with the key, instead of --config')
    .option('--config <file>', configText)
    .option('--key <file>', 'the key, wherever it is')
    .action((value: string, path: string | undefined, flags: ConfigOption & { readonly key?: string }) =>
      run((screen) => auditHmac(screen, value, placesOf(flags, path === undefined ? [] : [path]), flags.key)),
    );

  audit
    .command('keygen')
    .description('a new key that signs checkpoints (Ed25519, PKCS#8 in PEM); prints its public key')
    .option('--out <file>', 'where the private key goes (0600); a file that is there is left alone')
    .action((flags: { readonly out?: string }) => run((screen) => auditKeygen(screen, flags.out)));
}

function placesOf({ config }: ConfigOption, paths: readonly string[]): Places {
  return { config, paths };
}

function gather(path: string, before: readonly string[]): readonly string[] {
  return [...before, path];
}

function parseSeq(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('Not the number of a record.');
  return Number(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Not a number of lines.');
  return Number(text);
}
