// `dovegate audit verify`: checks that nothing in a journal was changed or is missing. It passes only a journal that a trusted key
// signed, or one that the caller allows to be unsigned.

import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { systemClock } from '../../host/machine/clock.js';
import { whyNoRight } from '../../host/machine/files.js';
import { standardConfig } from '../../host/machine/packaged.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { isText, parseLine } from '../../host/values/values.js';
import { formatJson, formatWords, printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { readIn } from '../../journal/files/segments.js';
import { findTrail, type Trail, type TrailFile } from '../../journal/files/trail.js';
import type { Fault, KeptCheckpoint } from '../../journal/records/checkpoints.js';
import { parsePublicKey, publicKeyName } from '../../rules/keys/sign-key.js';
import { checkTrail, verifyTrail } from '../reading/search-trail.js';
import { describeRetired } from '../reading/unseen.js';
import { proofKindOf } from '../report/proof.js';
import { checkedFaults as faultsMax, type Verdict, withFault } from '../trail/verify.js';
import { askPage, isAsked } from './ask-page.js';
import { type Asking, acceptKey, demandMayAccept, readAccepted } from './audit-keys.js';
import {
  flushedJournalsOf,
  hostOf,
  type Places,
  readBeginning,
  readSmallFile,
  trailAt,
} from './audit-places.js';
import { type Received, verifyReceived } from './audit-received.js';
import type { MirroredHost } from './fleet-places.js';

export interface VerifyFlags {
  readonly key: readonly string[];
  /** A file with a checkpoint kept elsewhere: its line, or a log of the daemon that contains it. */
  readonly checkpoint?: string;
  readonly from?: number;
  readonly unsigned?: boolean;
  readonly received?: boolean;
  /** Accept the host's own key, which signed the end of the journal. */
  readonly acceptKey?: boolean;
  readonly json?: boolean;
}

interface Trust {
  /** Public keys given with `--key`, or accepted earlier by a person. */
  readonly keys: readonly string[];
  /** The host's own public key, if no other key is trusted. */
  readonly own: string | undefined;
  /** The private key that the own one was derived from; undefined: it is `key.pub`, which proves less. */
  readonly secretFile?: string | undefined;
  /** For the report: the origin of the key; empty for `--key`. */
  readonly text: string;
  /** It is this host's own key, and not only a file beside the journal. */
  readonly isOwn: boolean;
}

/** The findings in one directory, or in all single files together. */
interface Checked extends Received {
  readonly target: string;
  /** Set for a fleet. */
  readonly host: string | undefined;
  /** The path of a file by the name that records use. */
  readonly pathOf: (file: string) => string;
  readonly isPassed: boolean;
  readonly trust: Trust;
  readonly hasConfig: boolean;
}

const openShownMax = 5;

/** Exit code 0; 1: a journal has faults, or no signature was checked. Throws as the readers do. */
export async function auditVerify(screen: Screen, places: Places, flags: VerifyFlags): Promise<number> {
  if (isAsked(places)) return auditVerifyAsked(screen, places, flags);
  const { from: fromSeq, unsigned = false, received = false } = flags;
  const extra = flags.checkpoint === undefined ? [] : [readCheckpoint(flags.checkpoint)];
  const { fleet } = places;
  // What a log store received is compared with what the fleet's store has.
  const stored =
    received && fleet !== undefined && places.paths.length > 0
      ? (await import('./fleet-places.js')).mirroredHosts(screen, fleet)
      : undefined;
  const journals = await flushedJournalsOf(
    screen,
    stored === undefined ? places : { ...places, fleet: undefined },
  );
  const { paths, signKeyFile, stateDirectory, hosts } = journals;
  // Undefined: directories, files or a fleet were named.
  const config =
    places.paths.length > 0 || hosts !== undefined ? undefined : (places.config ?? standardConfig());
  const general = trustOf(screen, flags, config, paths[0] ?? '', signKeyFile);
  const directories = paths.filter(isDirectory);
  const named = paths.filter((path) => !directories.includes(path));
  for (const path of named) demandNoProof(path, flags.key);

  const requestOf = (trust: Trust) => ({ trustedKeys: trust.keys, ownKey: trust.own, fromSeq, faultsMax });
  let isGood = hosts?.every((host) => host.paths.length > 0) ?? true;
  const report = async (
    target: string,
    files: readonly Pick<TrailFile, 'name' | 'path'>[],
    found: Received,
    trust: Trust,
    base?: string,
  ): Promise<void> => {
    const isPassed = found.verdict.faults.length === 0 && (isChecked(trust) || unsigned);
    isGood &&= isPassed;
    const byName = new Map(files.map(({ name, path }) => [name, path]));
    const pathOf = (file: string): string =>
      byName.get(file) ?? (base === undefined ? file : join(base, file));
    const host = base === undefined ? undefined : hostOf(journals, base)?.host;
    const hasConfig = config !== undefined;
    const checked = { ...found, target, host, pathOf, isPassed, trust, hasConfig };
    const format = flags.json === true ? formatReport : describe;
    await screen.print(format(checked, received, screen));
  };
  for (const directory of directories) {
    const { files, kept } = trailAt(directory, stateDirectory);
    const trust = hosts === undefined ? general : trustOfHost(general, hostOf(journals, directory));
    const followed = await verifyTrail({ files, kept: [...kept, ...extra] }, requestOf(trust));
    const compared = comparedWithSecret(followed, trust, directory);
    const isAccepted = flags.acceptKey === true && config !== undefined;
    const found = isAccepted ? accept(screen, trust, config, directory, compared) : compared;
    // Earlier records can be retired; the verdict has checked that.
    const verdict = withMissing(found, fromSeq, false);
    await report(directory, files, { verdict, copies: 0, others: 0 }, trust, directory);
  }
  if (named.length > 0) {
    const files = named.map((path) => fileAt(path, received));
    const listed = stored?.flatMap(({ key }) => (key === undefined ? [] : [key])) ?? [];
    const trust = { ...general, keys: [...general.keys, ...listed] };
    const options = { trustedKeys: trust.keys, kept: extra, isShipped: received, faultsMax };
    const found = await verifyReceived(files, fromSeq, options, stored);
    const target = named.map((path) => (path === '-' ? 'standard input' : path)).join(' ');
    await report(target, files, { ...found, verdict: withMissing(found.verdict, fromSeq, true) }, trust);
  }
  await screen.flush();
  return isGood ? exitCodes.ok : exitCodes.failed;
}

export type CheckedJournal = Awaited<ReturnType<typeof checkAt>>;

/** Checks the whole journal of one directory for another subcommand. Throws as the readers do. */
export async function checkJournal(
  screen: Screen,
  places: Places,
  key: readonly string[],
): Promise<CheckedJournal> {
  const { paths, signKeyFile, stateDirectory, hosts } = await flushedJournalsOf(screen, places);
  const [directory = ''] = paths;
  if (hosts !== undefined || paths.length > 1 || !isDirectory(directory))
    throw new CommandFault(exitCodes.usage, 'name one directory of a journal, or --config FILE');
  const config = places.paths.length > 0 ? undefined : (places.config ?? standardConfig());
  const trust =
    config === undefined && key.length === 0
      ? trustBeside(directory)
      : trustOf(screen, { key }, config, directory, signKeyFile);
  return checkAt(directory, trailAt(directory, stateDirectory), trust);
}

export interface CheckedHost {
  readonly host: string;
  readonly journals: readonly CheckedJournal[];
}

/** Checks each journal of a fleet, by host. `readerOf(directory)` gets the verified pieces of that journal, in order. */
export async function checkHosts(
  screen: Screen,
  places: Places,
  key: readonly string[],
  readerOf: (directory: string) => (piece: Buffer) => void,
): Promise<readonly CheckedHost[]> {
  const { hosts = [] } = await flushedJournalsOf(screen, places);
  const general = trustOf(screen, { key }, undefined, '', undefined);
  const checkOne = async (host: MirroredHost): Promise<CheckedHost> => {
    const trust = trustOfHost(general, host);
    const own: CheckedJournal[] = [];
    for (const path of host.paths) own.push(await checkAt(path, trailAt(path), trust, readerOf(path)));
    return { host: host.host, journals: own };
  };
  const checked: CheckedHost[] = [];
  // An error ends the generator, and so the other turns.
  const left = inOrder(hosts);
  const turns = Array.from({ length: hostsAtOnce }, async () => {
    for (const [at, host] of left) checked[at] = await checkOne(host);
  });
  await Promise.all(turns);
  return checked;
}

function* inOrder<Item>(items: readonly Item[]): Generator<[number, Item]> {
  yield* items.entries();
}

/** While the files of one host are read, those of others are verified. */
const hostsAtOnce = 4;

async function checkAt(directory: string, found: Trail, trust: Trust, take?: (piece: Buffer) => void) {
  const request = { trustedKeys: trust.keys, ownKey: trust.own, faultsMax };
  const checked = await checkTrail(found, request, (_, piece) => {
    if (piece !== undefined) take?.(piece.bytes);
  });
  const { trail } = checked;
  const verdict = comparedWithSecret(checked.verdict, trust, directory);
  const byName = new Map(trail.files.map(({ name, path }) => [name, path]));
  return {
    /** Reading it again returns the checked text, or an error. */
    trail,
    verdict,
    directory,
    isChecked: isChecked(trust),
    keys: trust.own === undefined ? trust.keys : [...trust.keys, trust.own],
    /** The origin of the key, as a note; empty for `--key`. */
    whose: trust.text.replace(/^ by /, ''),
    pathOf: (file: string): string => byName.get(file) ?? join(directory, file),
  };
}

/** Throws a CommandFault for a file of `audit export --with-proof`, with the command that checks it. */
function demandNoProof(path: string, keys: readonly string[]): void {
  const kind = path === '-' ? undefined : proofKindOf(readBeginning(path));
  if (kind === 'extract')
    throw new CommandFault(
      exitCodes.usage,
      `${path} is an extract and no journal: docs/auditor-access.md says how to check it`,
    );
  if (kind !== 'proof') return;
  const words = [
    'check-proof',
    path,
    ...(keys.length === 0 ? ['--key', 'FILE'] : keys.flatMap((key) => ['--key', key])),
  ];
  throw new CommandFault(
    exitCodes.usage,
    `${path} is a proof and no journal: dovegate audit ${formatWords(words)}`,
  );
}

/** Throws a CommandFault if it does not exist. */
function isDirectory(path: string): boolean {
  try {
    return path !== '-' && statSync(path).isDirectory();
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, error);
  }
}

const besideText = ` by ${publicKeyName}, which lies beside the journal`;

/** `key.pub` of a directory that was named without a key. It proves less than a copy kept elsewhere, and the text says so. */
function trustBeside(directory: string): Trust {
  const own = keyBeside(directory);
  return { keys: [], own, text: own === undefined ? '' : besideText, isOwn: false };
}

/** The listed key of the host, beside those of the command line. */
function trustOfHost({ keys }: Trust, host: MirroredHost | undefined): Trust {
  const listed = host?.key === undefined ? [] : [host.key];
  return { keys: [...keys, ...listed], own: undefined, text: '', isOwn: false };
}

/** The keys of the command line, else those accepted for this configuration, else the host's own. Throws a CommandFault. */
function trustOf(
  screen: Screen,
  { key: keys, acceptKey: isAccepting = false }: Pick<VerifyFlags, 'key' | 'acceptKey'>,
  config: string | undefined,
  directory: string,
  signKeyFile: string | undefined,
): Trust {
  if (config === undefined || keys.length > 0) {
    if (!isAccepting) return { keys: keys.map(readKey), own: undefined, text: '', isOwn: false };
    const text = '--accept-key is for the journal of a configuration, without --key';
    throw new CommandFault(exitCodes.usage, text);
  }
  const path = join(directory, publicKeyName);
  // The daemon's user and root may read the private key.
  const isReadable = signKeyFile !== undefined && whyNoRight(signKeyFile, 'read') === undefined;
  const secretFile = isReadable ? signKeyFile : undefined;
  const own = secretFile === undefined ? keyBeside(directory) : keyIn(secretFile, readSmallFile(secretFile));
  const isOwn = secretFile !== undefined;
  const text = isOwn ? " by this host's own key" : besideText;
  if (isAccepting) {
    demandMayAccept(config, askingFor(directory));
    if (own === undefined)
      throw new CommandFault(exitCodes.configuration, `there is no ${path} to be accepted`);
  } else {
    const accepted = readAccepted(config, askingFor(directory));
    if (accepted.problem !== undefined)
      screen.complain(`dovegate: warning: ${accepted.path} is ignored: ${accepted.problem}`);
    const given = ` by this host's own key, accepted in ${accepted.path}`;
    if (accepted.keys.length > 0) return { keys: accepted.keys, own: undefined, text: given, isOwn: true };
  }
  return { keys: [], own, secretFile, text: own === undefined ? '' : text, isOwn };
}

/** An attacker who replaces a journal replaces its `key.pub` too, so it is compared with the private key if that is readable. */
function comparedWithSecret(verdict: Verdict, { own, secretFile }: Trust, directory: string): Verdict {
  if (own === undefined || secretFile === undefined) return verdict;
  const path = join(directory, publicKeyName);
  const shown = existsSync(path) ? parsePublicKey(readIn(directory, publicKeyName) ?? '') : own;
  const { keys, signedSeq } = verdict;
  const holds = `${secretFile} holds key ${own}, and`;
  const fault = { line: 0, seq: undefined, kind: 'key-change' } as const;
  if (shown !== own)
    return withFault(verdict, { ...fault, file: publicKeyName, text: `${holds} this is ${shown ?? 'none'}` });
  if (signedSeq !== undefined || keys.length === 0) return verdict;
  return withFault(verdict, { ...fault, file: '', text: `${holds} ${keys.join(', ')} signed this journal` });
}

/** Only if there is no other fault: a person who accepts a key must have seen those first. */
function accept(
  screen: Screen,
  { own: key }: Trust,
  config: string,
  directory: string,
  verdict: Verdict,
): Verdict {
  if (key === undefined) return verdict;
  if (verdict.faults.some(({ kind }) => kind !== 'key-change') || verdict.signedSeq === undefined) {
    screen.complain(`dovegate: ${key} was not accepted: look at the other faults first`);
    return verdict;
  }
  const acceptance = { key, journal: verdict.journal, wallMs: systemClock.wallMs() };
  const file = acceptKey(config, { ...acceptance, ...askingFor(directory) });
  screen.complain(`dovegate: accepted ${key} (${file})`);
  return { ...verdict, faults: [], faultCount: 0 };
}

function askingFor(directory: string): Asking {
  return { userId: process.geteuid?.() ?? 0, ownerId: statSync(directory).uid };
}

/** The public key in a file. Throws a CommandFault. */
export function readKey(path: string): string {
  return keyIn(path, readSmallFile(path, true));
}

/** The key in `key.pub`, a file that may have been replaced; undefined: there is none. */
function keyBeside(directory: string): string | undefined {
  const path = join(directory, publicKeyName);
  return existsSync(path) ? keyIn(path, readIn(directory, publicKeyName) ?? '') : undefined;
}

function keyIn(path: string, content: string): string {
  const key = parsePublicKey(content);
  const text = `${path} holds no Ed25519 key: PEM (public or private) or base64`;
  if (key === undefined) throw new CommandFault(exitCodes.configuration, text);
  return key;
}

/** The last checkpoint in a file: a line of the journal, or a line of the log that quotes one. */
function readCheckpoint(path: string): KeptCheckpoint {
  for (const line of readSmallFile(path, true).trimEnd().split('\n').toReversed()) {
    const parsed = parseLine(line);
    for (const text of [line, parsed?.['text']]) {
      if (isText(text) && parseLine(text)?.['event'] === 'checkpoint') return { file: path, text };
    }
  }
  throw new CommandFault(exitCodes.configuration, `${path} holds no checkpoint`);
}

/** A file that a person named, or `-`. Throws a CommandFault or a JournalFault. */
export function fileAt(path: string, isReceived: boolean): TrailFile {
  if (path === '-') return { path, name: path, isCompressed: false, chunks: standardInput() };
  const [file] = findTrail([path]).files;
  if (file === undefined) throw new CommandFault(exitCodes.configuration, `${path} cannot be read`);
  // Segments get the name that later segments use for them.
  return { ...file, name: isReceived ? path : basename(file.name) };
}

async function* standardInput(): AsyncGenerator<Buffer> {
  for await (const chunk of process.stdin) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
}

function withMissing(verdict: Verdict, fromSeq: number | undefined, isFirstAsked: boolean): Verdict {
  const { firstSeq, lastSeq, records, faults } = verdict;
  const missing = (text: string): Verdict =>
    withFault(verdict, { file: '', line: 0, seq: fromSeq ?? 1, kind: 'missing', text }, true);
  if (records === 0 && faults.length === 0) return missing('there is no record');
  if (fromSeq === undefined || firstSeq === undefined || lastSeq === undefined) return verdict;
  if (lastSeq < fromSeq) return missing(`the last record is ${lastSeq}`);
  if (isFirstAsked && firstSeq > fromSeq) return missing(`the first record from there on is ${firstSeq}`);
  return verdict;
}

function describe(checked: Checked, isReceived: boolean, screen: Screen): string {
  const { verdict, copies, others, stored, pathOf, isPassed } = checked;
  const { records, firstSeq, lastSeq, firstTime, lastTime, journal } = verdict;
  const { faults, faultCount } = verdict;
  const range = firstSeq === undefined ? '' : `, seq ${firstSeq} to ${lastSeq ?? firstSeq}`;
  const id = journal === undefined ? '' : `, journal ${printable(journal)}`;
  const lines = [`${printable(checked.target)}: ${plural(records, 'record')}${range}${id}`];
  for (const fault of faults) lines.push(`  ${screen.paint('bad', describeFault(fault, pathOf))}`);
  if (faultCount > faults.length) lines.push(`  and ${plural(faultCount - faults.length, 'more fault')}`);
  if (firstTime !== '') lines.push(printable(`  from ${firstTime} to ${lastTime}`));
  for (const each of verdict.retired) lines.push(`  ${describeRetired(each)}`);
  if (isReceived) {
    const skipped = `${plural(copies, 'repeated record')} and ${plural(others, 'line')} of other programs`;
    lines.push(`  ${skipped} skipped`);
  }
  if (stored !== undefined && faultCount === 0) lines.push(`  ${describeStored(stored, lastSeq ?? 0)}`);
  if (verdict.isTorn)
    lines.push('  the last line has no end: a crash, or a record that is being written now');
  if (verdict.isNewer) lines.push('  a later release wrote this: keys that it added were not checked');
  if (verdict.openCount > 0) lines.push(`  ${screen.paint('doubtful', describeOpen(verdict, pathOf))}`);
  for (const { file, line, seq, text } of [...verdict.forgotten, ...verdict.returned]) {
    const warning = printable(`warning: ${pathOf(file)}:${line}: seq ${seq}: ${text}`);
    lines.push(`  ${screen.paint('doubtful', warning)}`);
  }
  if (checked.trust.keys.length > 0 && !checked.trust.isOwn)
    for (const key of verdict.earlierKeys) {
      const text = `warning: key ${key} signed first and was not given: its records are as the key that was given found them (--key for each)`;
      lines.push(`  ${screen.paint('doubtful', printable(text))}`);
    }
  lines.push(`  ${printable(describeSignatures(checked))}`);
  if (isPassed) {
    lines.push(screen.paint('good', 'passed'));
  } else if (faultCount > 0) {
    lines.push(screen.paint('bad', `failed: ${plural(faultCount, 'fault')}`));
    if (faults.some(({ kind }) => kind === 'key-change'))
      lines.push('if you changed the key: dovegate audit verify --config FILE --accept-key');
  } else {
    const text =
      'failed: nothing is changed or missing, but no signature was checked, so this cannot be proved (--key FILE, or --unsigned)';
    lines.push(screen.paint('bad', text));
  }
  return lines.join('\n');
}

function describeStored({ host, lastSeq: end }: NonNullable<Received['stored']>, lastSeq: number): string {
  if (end === lastSeq) return `the store has all of it, and nothing more of ${host}`;
  if (end > lastSeq)
    return `the store has all of it, and ${plural(end - lastSeq, 'later record')} of ${host} that are not here`;
  return `the store has it up to seq ${end} of ${host}; what is later is of the last 15 min, and may be on its way`;
}

function describeFault({ file, line, seq, kind, text }: Fault<string>, pathOf: Checked['pathOf']): string {
  const path = file === '' ? '' : line === 0 ? `${pathOf(file)}: ` : `${pathOf(file)}:${line}: `;
  const number = seq === undefined ? '' : `seq ${seq}: `;
  return printable(`${path}${number}${kind}: ${text}`);
}

function describeOpen({ open, openCount }: Verdict, pathOf: Checked['pathOf']): string {
  const shown = open
    .slice(0, openShownMax)
    .map(({ id, seq, file, line }) => printable(`${id} (${pathOf(file)}:${line}, seq ${seq})`));
  const more = openCount > shown.length ? ', ...' : '';
  return `warning: ${plural(openCount, 'exchange has', 'exchanges have')} no completion, so it is running or its outcome is unknown: ${shown.join(', ')}${more}`;
}

function isChecked({ keys, own }: Trust): boolean {
  return keys.length > 0 || own !== undefined;
}

function describeSignatures({ verdict, trust, hasConfig }: Checked): string {
  const { keys, signedSeq, lastSeq } = verdict;
  if (!isChecked(trust)) {
    const said =
      keys.length === 0
        ? 'nothing here is signed'
        : `signed by ${keys.join(', ')}, according to the journal itself`;
    const why = hasConfig ? `there is no ${publicKeyName}` : 'no --key was given';
    return `signatures were not checked: ${why} (${said})`;
  }
  if (signedSeq === undefined) return 'no signature of a trusted key was found';
  const later = (lastSeq ?? signedSeq) - signedSeq;
  const rest = later > 0 ? `; ${plural(later, 'later record')} chained to it, not signed yet` : '';
  return `signed up to seq ${signedSeq}${trust.text}${rest}`;
}

function formatReport(checked: Checked, isReceived: boolean): string {
  const { verdict, copies, others, pathOf, trust } = checked;
  const { firstTime, lastTime, open, faults, faultCount } = verdict;
  return formatJson({
    target: checked.target,
    host: checked.host,
    passed: checked.isPassed,
    signatures_checked: isChecked(trust),
    by_own_key: trust.isOwn,
    records: verdict.records,
    first_seq: verdict.firstSeq,
    last_seq: verdict.lastSeq,
    first_time: firstTime === '' ? undefined : firstTime,
    last_time: lastTime === '' ? undefined : lastTime,
    retired: verdict.retired,
    journal: verdict.journal,
    signed_seq: verdict.signedSeq,
    keys: verdict.keys,
    earlier_keys: verdict.earlierKeys,
    fault_count: faultCount,
    faults: faults.map(({ file, line, seq, kind, text }) => ({ file: pathOf(file), line, seq, kind, text })),
    open_count: verdict.openCount,
    open: open.map(({ id, seq, file, line }) => ({ id, seq, file: pathOf(file), line })),
    forgotten: verdict.forgotten.map((found) => ({ ...found, file: pathOf(found.file) })),
    returned: verdict.returned.map((found) => ({ ...found, file: pathOf(found.file) })),
    torn: verdict.isTorn,
    newer: verdict.isNewer,
    ...(isReceived && { copies, others }),
    ...(checked.stored && { stored_host: checked.stored.host, stored_seq: checked.stored.lastSeq }),
  });
}

/** A long check reports its progress at this interval. */
const tellMs = 5_000;

/** With --socket: trusts the daemon for the result and the key. Exit code 0; 1: the journal has faults. Throws a CommandFault. */
async function auditVerifyAsked(
  screen: Screen,
  { socket = '' }: Places,
  { key, json = false, ...flags }: VerifyFlags,
): Promise<number> {
  const { from, checkpoint, received, unsigned } = flags;
  const ofFiles = [from, checkpoint, received, unsigned, flags.acceptKey];
  const isOfFiles = ofFiles.some((flag) => flag !== undefined);
  if (isOfFiles || key.length > 0)
    throw new CommandFault(
      exitCodes.usage,
      '--socket checks the whole journal with the key of the daemon; the other options are for files',
    );
  let toldMs = systemClock.now();
  const found = await askPage(socket).check(({ bytes, ofBytes }) => {
    if (systemClock.now() - toldMs < tellMs || ofBytes === 0) return;
    toldMs = systemClock.now();
    screen.complain(`dovegate: ${Math.floor((Math.min(bytes, ofBytes) / ofBytes) * 100)} % is checked`);
  });
  await screen.print(json ? formatJson({ target: socket, ...found }) : describeFound());
  await screen.flush();
  return found.isWhole ? exitCodes.ok : exitCodes.failed;

  function describeFound(): string {
    const { records, fromSeq, toSeq, fromTime, toTime, findings, signedSeq, signedBy, isWhole, faultCount } =
      found;
    const range = fromSeq === undefined ? '' : `, seq ${fromSeq} to ${toSeq ?? fromSeq}`;
    const lines = [`${printable(socket)}: ${plural(records, 'record')}${range}`];
    if (fromTime !== undefined && toTime !== undefined) lines.push(`  from ${fromTime} to ${toTime}`);
    const paint = (kind: string, text: string): string =>
      kind === 'fault' ? screen.paint('bad', `fault: ${text}`) : `note: ${text}`;
    for (const { kind, text } of findings) lines.push(`  ${paint(kind, printable(text))}`);
    if (signedSeq !== undefined && signedBy !== undefined)
      lines.push(`  signed up to seq ${signedSeq} by ${signedBy}, the key of the daemon, as it says itself`);
    lines.push(
      isWhole
        ? screen.paint('good', 'passed')
        : screen.paint('bad', `failed: ${plural(faultCount, 'fault')}`),
    );
    return lines.join('\n');
  }
}
