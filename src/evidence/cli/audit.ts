// The subcommands of `dovegate audit` and their options. The code of a subcommand is imported when it is called.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { pickFilter } from '../../gate/door/filter.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { outcomeWords, rowKinds } from '../../gate/outcome/class.js';
import { systemClock } from '../../host/machine/clock.js';
import { standardConfigHelp } from '../../host/machine/packaged.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault, formatFault } from '../../host/output/output.js';
import { several } from '../../host/output/run-commands.js';
import { openScreen, type Screen } from '../../host/output/screen.js';
import { JournalFault } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { momentForms, parseMoment } from '../../host/words/moments.js';
import { type Exclusion, exclusionKeys, withoutOk } from '../story/leave-out.js';
import { besideWords, shownEffects } from '../story/row.js';
import type { Separator } from '../trail/export.js';
import type { AccessFlags } from './audit-access.js';
import type { CheckProofFlags } from './audit-check-proof.js';
import type { Places } from './audit-places.js';
import type { PoliciesFlags } from './audit-policies.js';
import type { ProofFlags } from './audit-proof.js';
import type { ReportFlags } from './audit-report.js';
import type { RowFormat } from './audit-search.js';
import type { TailFlags } from './audit-tail.js';
import type { VerifyFlags } from './audit-verify.js';

interface Flags {
  readonly config?: string;
  readonly socket?: string;
  readonly fleet?: string;
  readonly view?: readonly string[];
  readonly json?: boolean;
}

const fleetHelp =
  'the journals of all hosts, as fleet verify keeps them: fleet.yaml, or the directory of a mirror';
const viewHelp =
  'show only what somebody may see who answers for these mail users; * matches any characters; also several times';
const socketHelp = 'ask at admin.page.unix of a daemon, without rights on files';

type ExportFlags = Flags &
  FilterOptions &
  ProofFlags & {
    readonly format: Exclude<RowFormat, 'table'>;
    readonly separator?: Separator;
    readonly withProof?: boolean;
  };

const placesText = 'directories of journals, or segments; instead of --config';

/** Registers the command, and returns it for subcommands of other modules. */
export function registerAudit(program: Command, end: (exitCode: number) => void): Command {
  const audit = program
    .command('audit')
    .description('verify, search and show the audit journal; make keys for it');

  const reader = (name: string, summary: string): Command =>
    audit
      .command(name)
      .description(summary)
      .option('--config <file>', `the journal of this configuration (default: ${standardConfigHelp})`);

  const fleetReader = (name: string, summary: string): Command =>
    reader(name, summary).option('--fleet <file>', fleetHelp);

  /** For results about whole journals: refuses --view. */
  const wholeReader = (name: string, summary: string): Command => {
    const command = fleetReader(name, summary).addOption(new Option('--view <pattern>').hideHelp());
    return command.on('option:view', () =>
      command.error(
        `error: '--view' is for search, show, access and export: audit ${name} judges whole journals; a person with "users" gets a report at the socket (--socket)`,
      ),
    );
  };

  const placesOf = (
    { config, socket, fleet: place, view = [] }: Flags,
    paths: readonly string[] | string | undefined,
  ): Places => {
    if (view.length > 0 && socket !== undefined)
      throw new CommandFault(
        exitCodes.usage,
        '--view is for files: over --socket, "people" decides who sees what',
      );
    return {
      config,
      paths: [paths ?? []].flat(),
      words: program.args,
      fleet: place,
      ...(view.length > 0 && { view }),
      ...(socket !== undefined && { socket }),
    };
  };

  const viewer = (name: string, summary: string): Command =>
    fleetReader(name, summary).option('--view <pattern>', viewHelp, several, []);

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

  wholeReader(
    'verify',
    'check that nothing in a journal was changed or is missing; print each fault with its place',
  )
    .argument('[place...]', `${placesText}; FILE or - also with syslog lines (RFC 5424)`)
    .option('--key <file>', keyHelp, several, [])
    .option('--socket <path>', `${socketHelp}; it checks with its own key`)
    .option('--from <seq>', 'start at the segment that holds this record', parseSeq)
    .option('--checkpoint <file>', 'a checkpoint kept elsewhere, such as the last one in the log')
    .option(
      '--received',
      'files of a log store: skip lines of other programs and repeated records; with --fleet, compare them with its store',
    )
    .option('--accept-key', "trust this host's own key, which signed the end; for root, with --config")
    .option('--unsigned', 'pass even if signatures were not checked')
    .option('--json', 'one line of JSON for each journal')
    .action((paths: string[], flags: Flags & VerifyFlags) =>
      run(async (screen) =>
        (await import('./audit-verify.js')).auditVerify(screen, placesOf(flags, paths), flags),
      ),
    );

  const search = (
    paths: string[],
    flags: Flags & FilterOptions & SummaryOptions,
    format: RowFormat,
    look: 'search' | 'export',
    separator?: Separator,
  ) =>
    run(async (screen) => {
      const { auditSearch } = await import('./audit-search.js');
      const { not, outcome } = withoutOk(flags.outcome, flags.not ?? []);
      const by = flags.byOwner === true ? 'owner' : flags.byCause === true ? 'cause' : undefined;
      const options = { format, look, separator, not, by } as const;
      return auditSearch(screen, placesOf(flags, paths), filterOf({ ...flags, outcome }), options);
    });

  addFilterOptions(viewer('search', 'find commands and how they ended, one row each'))
    .argument('[place...]', placesText)
    .option('--socket <path>', socketHelp)
    .option('--by-owner', 'instead of commands: whose mail content they showed, how often, and to whom')
    .addOption(
      new Option(
        '--by-cause',
        'instead of commands: why they did not go well, alike ones in one row, with first and last time',
      ).conflicts('byOwner'),
    )
    .option('--json', 'one line of JSON for each command; with --by-owner, --by-cause for each row')
    .action((paths: string[], flags: Flags & FilterOptions & SummaryOptions) =>
      search(paths, flags, flags.json === true ? 'jsonl' : 'table', 'search'),
    );

  viewer('show', 'show all records of one command, with its log lines and its session')
    .argument('<id>', 'the id of the command, or the seq of one of its records')
    .argument('[place...]', placesText)
    .option('--socket <path>', socketHelp)
    .option('--json', 'its records, one line of JSON each')
    .action((id: string, paths: string[], flags: Flags) =>
      run(async (screen) => {
        const { auditShow } = await import('./audit-show.js');
        return auditShow(screen, placesOf(flags, paths), id, flags.json === true);
      }),
    );

  reader('tail', 'show the last records, one a line')
    .argument('[place]', 'directory of a journal, instead of --config')
    .option('-f, --follow', 'go on with new records as they are written')
    .option('-n, --lines <count>', 'how many records to begin with', parseCount, 10)
    .option('--json', 'one line of JSON for each record')
    .addOption(new Option('--socket <path>').hideHelp())
    .action((path: string | undefined, flags: Flags & TailFlags) =>
      run(async (screen) => {
        if (flags.socket !== undefined)
          throw new CommandFault(
            exitCodes.usage,
            'audit tail needs the files of the journal: over --socket use audit search --since 1h',
          );
        const { auditTail } = await import('./audit-tail.js');
        const release = holdProcess();
        try {
          return await auditTail(screen, systemClock, placesOf(flags, path), flags);
        } finally {
          release();
        }
      }),
    );

  wholeReader('report', 'who touched a mailbox, and whether the journal is complete for that time')
    .argument('[place]', 'directory of a journal, instead of --config')
    .option('--socket <path>', socketHelp)
    .requiredOption('--mailbox <name>', 'the mailbox user')
    .option('--from <when>', `from that on: ${momentHelp}`, (text) => readMoment(text, 'start'))
    .option('--to <when>', 'before that; a day counts to its end', (text) => readMoment(text, 'end'))
    .option('--content', 'list only commands that showed or searched content, or may have')
    .option('--key <file>', keyHelp, several, [])
    .addOption(new Option('--csv', csvHelp).conflicts(['html', 'json']))
    .addOption(separatorOption())
    .addOption(new Option('--html', 'one page of HTML, to print').conflicts(['csv', 'json']))
    .option('--json', 'one line of JSON for the verdict, then one for each command')
    .addOption(
      new Option('--owner', 'what the owner may see (no names of staff), signed; with --socket').conflicts([
        'csv',
        'html',
        'json',
        'content',
        'to',
        'whole',
      ]),
    )
    .action((path: string | undefined, flags: Flags & ReportFlags, command: Command) => {
      demandCsv(command, flags);
      return run(async (screen) =>
        (await import('./audit-report.js')).auditReport(screen, placesOf(flags, path), flags),
      );
    });

  viewer('access', 'who had access on request to whose mail, granted by whom, and how it was used')
    .argument('[place...]', placesText)
    .option('--socket <path>', socketHelp)
    .option('--since <when>', `from that on: ${momentHelp}`, (text) => readMoment(text, 'start'))
    .option('--until <when>', 'before that; a day counts to its end', (text) => readMoment(text, 'end'))
    .option('--user <name>', 'only access to the mail of this user; * matches any characters')
    .option('--by <name>', 'only what this person approved, gave, refused, revoked or reviewed')
    .option('--json', 'one line of JSON for each request')
    .action((paths: string[], flags: Flags & AccessFlags) =>
      run(async (screen) => {
        const { auditAccess } = await import('./audit-access.js');
        return auditAccess(screen, placesOf(flags, paths), flags);
      }),
    );

  wholeReader('policies', 'who changed the policies, what that permits, and what ran under it')
    .argument('[place...]', placesText)
    .option('--since <when>', `from that on: ${momentHelp}`, (text) => readMoment(text, 'start'))
    .option('--until <when>', 'before that; a day counts to its end', (text) => readMoment(text, 'end'))
    .option('--diff <seq>', 'the texts of the policies that this record changed, line by line', parseSeq)
    .addOption(new Option('--json', 'one line of JSON for each change').conflicts('diff'))
    .addOption(new Option('--socket <path>').hideHelp())
    .action((paths: string[], flags: Flags & PoliciesFlags) =>
      run(async (screen) => {
        if (flags.socket !== undefined)
          throw new CommandFault(
            exitCodes.usage,
            'audit policies needs the files of the journal, with the texts beside them: without rights on them, open the page, and there Access, "What was changed in the policies"',
          );
        const { auditPolicies } = await import('./audit-policies.js');
        return auditPolicies(screen, placesOf(flags, paths), flags);
      }),
    );

  addFilterOptions(viewer('export', 'like search, for other programs; safe in a spreadsheet'))
    .argument('[place...]', placesText)
    .option('--socket <path>', socketHelp)
    .addOption(
      new Option('--format <format>', 'of the rows: CSV or JSON lines')
        .choices(['jsonl', 'csv'])
        .default('csv'),
    )
    .addOption(separatorOption())
    .addOption(
      new Option(
        '--with-proof',
        'the records themselves, and the chain to a signature: to be checked with the public key alone; with --socket an extract that dovegate signs',
      ).conflicts('format'),
    )
    .option('--whole', 'with --with-proof: all lines of the time, to prove that nothing is left out')
    .option('--key <file>', `with --with-proof: ${keyHelp}`, several, [])
    .action((paths: string[], flags: ExportFlags, command: Command) => {
      const isOfFiles = flags.whole === true || flags.key.length > 0;
      if (flags.separator !== undefined && (flags.withProof === true || flags.format !== 'csv'))
        command.error("error: '--separator' is for CSV");
      if (flags.withProof === true && (flags.view ?? []).length > 0)
        command.error("error: '--view' hides records, which '--with-proof' cannot: it is not for both");
      if (flags.withProof === true && flags.not !== undefined)
        command.error("error: '--not' cannot be proven: it is not for '--with-proof'");
      if (flags.withProof === true && flags.socket !== undefined) {
        if (isOfFiles) command.error("error: '--whole' and '--key' are for files, not for '--socket'");
        return run(async (screen) => {
          const { auditExtract } = await import('./audit-proof.js');
          return auditExtract(screen, placesOf(flags, paths), filterOf(flags));
        });
      }
      if (flags.withProof === true)
        return run(async (screen) => {
          const { auditProof } = await import('./audit-proof.js');
          return auditProof(screen, placesOf(flags, paths), filterOf(flags), flags);
        });
      if (isOfFiles) command.error("error: '--whole' and '--key' are for '--with-proof'");
      return search(paths, flags, flags.format, 'export', flags.separator);
    });

  audit
    .command('check-proof')
    .description('check a file of export --with-proof, with the public key alone')
    .argument('<file>', 'the file; -: standard input')
    .option('--key <file>', keyHelp, several, [])
    .option('--json', 'one line of JSON')
    .action((path: string, flags: CheckProofFlags) =>
      run(async (screen) => (await import('./audit-check-proof.js')).auditCheckProof(screen, path, flags)),
    );

  reader('hmac', 'print what a secret value looks like in records, for search --text')
    .argument('<value>', 'the value; -: read from standard input, so that no list of processes shows it')
    .argument('[directory]', 'of the journal with the key, instead of --config')
    .option('--key <file>', 'the key, wherever it is')
    .action((value: string, path: string | undefined, flags: Flags & { readonly key?: string }) =>
      run(async (screen) =>
        (await import('./audit-keys.js')).auditHmac(screen, value, placesOf(flags, path), flags.key),
      ),
    );

  audit
    .command('keygen')
    .description('make a key that signs checkpoints (Ed25519, PKCS#8 in PEM); prints its public key')
    .option('--out <file>', 'the file for the private key (mode 0600); an existing file is not replaced')
    .action((flags: { readonly out?: string }) =>
      run(async (screen) => (await import('./audit-keys.js')).auditKeygen(screen, flags.out)),
    );
  return audit;
}

export const csvHelp = 'CSV: the verdict, then one row for each command';

export function separatorOption(): Option {
  const help = 'of the cells of CSV: a comma, a semicolon or tab (default: a comma)';
  return new Option('--separator <separator>', help).argParser(readSeparator);
}

function readSeparator(text: string): Separator {
  const found = ([',', ';', '\t'] as const).find((each) => each === text);
  if (found !== undefined) return found;
  if (text === 'tab') return '\t';
  throw new InvalidArgumentError('It must be , or ; or tab.');
}

export function demandCsv(command: Command, { csv, separator }: Partial<ReportFlags>): void {
  if (separator !== undefined && csv !== true) command.error("error: '--separator' is for '--csv'");
}

const keyHelp = 'a trusted key, public or private: signatures of others are faults; may be repeated';

function parseSeq(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It must be the seq of a record.');
  return Number(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a number of records.');
  return Number(text);
}

/** Options of commander; times in Unix milliseconds. */
export type FilterOptions = Omit<TrailFilter, 'id' | 'sinceMs' | 'untilMs'> & {
  readonly not?: readonly Exclusion[];
  readonly since?: number;
  readonly until?: number;
};

interface SummaryOptions {
  readonly byOwner?: boolean;
  readonly byCause?: boolean;
}

const outcomeHelp =
  'how it ended; open: no end is recorded. denied, failed, unknown: all that counts as that; not-ok: all that was not got, requests for access too';

const wouldHelp = 'what the rules of a policy that observes would have done instead; any: something else';
const shadowHelp = 'what the candidate for its policy (shadow) would have done instead; any: something else';

/** Adds the options that choose commands, the same for search and export. */
export function addFilterOptions(command: Command): Command {
  return command
    .option(
      '--user <name>',
      'commands for this mailbox user, by name, mask or all users; * matches any characters',
    )
    .option('--command <name>', 'the command, or its first words: mailbox finds mailbox list')
    .option('--principal <name>', 'the requester: bob, bob@LISTENER; * matches any characters')
    .option('--listener <name>', 'the listener that took it')
    .option('--policy <name>', 'the policy that was in force for it')
    .option('--session <id>', 'all commands of one session')
    .option('--grant <id>', 'all commands under one grant, with its request, approvals and end')
    .option('--by <name>', 'all that this person did: operator, approver, auditor, requester')
    .addOption(
      new Option('--kind <word>', 'commands only, or what else people did; look: looks at records').choices([
        ...rowKinds,
        'all',
      ]),
    )
    .addOption(new Option('--outcome <word>', outcomeHelp).choices([...outcomeWords]))
    .addOption(new Option('--would <word>', wouldHelp).choices([...besideWords]))
    .addOption(new Option('--shadow <word>', shadowHelp).choices([...besideWords]))
    .option('--backend <backend>', 'the backend it went to')
    .addOption(
      new Option('--effect <word>', 'the most that commands of this kind can do').choices([...shownEffects]),
    )
    .option('--since <when>', `sent at or after: ${momentHelp}`, (text) => readMoment(text, 'start'))
    .option('--until <when>', 'sent before that; a day counts to its end', (text) => readMoment(text, 'end'))
    .option('--reason <text>', 'a part of its stated reason, in any case')
    .option('--text <text>', 'text anywhere in one of its records')
    .option('--not <key:value>', 'leave out what has this value: outcome:ok; may be repeated', addExclusion);
}

function addExclusion(text: string, before: readonly Exclusion[] = []): readonly Exclusion[] {
  const colon = text.indexOf(':');
  const key = exclusionKeys.find((each) => each === text.slice(0, colon));
  if (key !== undefined && colon < text.length - 1) return [...before, { key, value: text.slice(colon + 1) }];
  throw new InvalidArgumentError(`It must be KEY:VALUE, with one of ${exclusionKeys.join(', ')}.`);
}

/** Throws a CommandFault if the time range ends before it begins: an empty result would look like an answer. */
export function filterOf(options: FilterOptions): TrailFilter {
  const { since, until, principal, ...same } = options;
  if (since !== undefined && until !== undefined && since >= until) {
    const times = `--since is ${formatTime(since)}, and --until is ${formatTime(until)}`;
    throw new CommandFault(exitCodes.usage, `--since must be before --until: ${times}`);
  }
  // Options that are no filter are left out.
  return pickFilter({
    ...same,
    // A name alone matches at any listener.
    principal: principal === undefined || /[@*]/.test(principal) ? principal : `${principal}@*`,
    sinceMs: since,
    untilMs: until,
  });
}

/** Unix milliseconds of a time on the command line. Throws commander's InvalidArgumentError. */
export function readMoment(text: string, edge: 'start' | 'end'): number {
  const atMs = parseMoment(text, edge, systemClock.wallMs());
  if (atMs === undefined) throw new InvalidArgumentError(`It must be one of: ${momentHelp}.`);
  return atMs;
}

export const momentHelp = `${momentForms}; in UTC where it has no zone`;
