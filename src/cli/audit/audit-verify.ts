// `dovegate audit verify`: checks that nothing in a journal was changed or is missing. It passes only a journal that a trusted key
// signed, or one that the caller allows to be unsigned.

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { systemClock } from '../../adapters/host/clock.js';
import { standardConfig } from '../../adapters/host/program.js';
import { publicKeyName } from '../../adapters/journal/segments.js';
import { cutPieces, findTrail, readPieces, verifyTrail } from '../../adapters/journal/trail.js';
import type { KeptCheckpoint } from '../../domain/audit/checkpoints.js';
import { formatJson, printable } from '../../domain/audit/export.js';
import { parseLine } from '../../domain/audit/record.js';
import { parsePublicKey } from '../../domain/audit/signature.js';
import type { TrailFault, Verdict } from '../../domain/audit/verify.js';
import { exitCodes } from '../../ports/exit-codes.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { type Asking, acceptKey, demandMayAccept, readAccepted } from './audit-keys.js';
import { isDirectory, journalsOf, type Places, readSmallFile, trailAt } from './audit-places.js';
import { type LineSource, verifyReceived } from './audit-received.js';
import { describeRetired } from './audit-search.js';

export interface VerifyOptions {
  readonly places: Places;
  /** Files with public or private keys. */
  readonly keys: readonly string[];
  /** A file with a checkpoint that was kept elsewhere: its line, or the daemon's log with it. */
  readonly checkpoint: string | undefined;
  readonly fromSeq: number | undefined;
  readonly isUnsigned: boolean;
  readonly isReceived: boolean;
  /** Accept the host's own key, which signed the end of the journal. */
  readonly isAccepting: boolean;
  readonly isJson: boolean;
}

/** The keys that signatures are checked against. */
interface Judges {
  /** Public keys given with `--key`, or accepted earlier by a person. */
  readonly trusted: readonly string[];
  /** The host's own public key, if no other key is trusted. */
  readonly own: string | undefined;
  /** The private key that the own one was derived from; undefined: it is `key.pub`, which proves less. */
  readonly secretFile?: string | undefined;
  /** For the report; empty: the command line says it. */
  readonly text: string;
  /** It is this host's own key, and not only what lies beside the journal. */
  readonly isOwn: boolean;
}

interface Judging extends VerifyOptions {
  readonly judges: Judges;
}

/** Of one directory, or of all single files together. */
interface Checked {
  readonly target: string;
  readonly verdict: Verdict;
  readonly faults: readonly TrailFault[];
  readonly copies: number;
  readonly others: number;
  /** The path of a file by the name that records use. */
  readonly pathOf: (file: string) => string;
}

const faultsMax = 20;
const openShownMax = 5;

/** Exit code 0; 1: a journal has faults, or no signature was checked. Throws what readers throw. */
export async function auditVerify(screen: Screen, asked: VerifyOptions): Promise<number> {
  const extra = asked.checkpoint === undefined ? [] : [readCheckpoint(asked.checkpoint)];
  const { paths, signKeyFile } = await journalsOf(screen, asked.places);
  const judges = judgesOf(screen, asked, paths[0] ?? '', signKeyFile);
  const options: Judging = { ...asked, judges };
  const isDirectoryAt = paths.map((path) => path !== '-' && isDirectory(path));
  const directories = paths.filter((_, at) => isDirectoryAt[at] === true);
  const files = paths.filter((_, at) => isDirectoryAt[at] !== true);

  const { trusted: trustedKeys, own: ownKey } = judges;
  const common = { trustedKeys, ownKey, fromSeq: options.fromSeq, faultsMax };
  let isGood = true;
  const report = async (checked: Checked): Promise<void> => {
    if (!isPassed(checked, options)) isGood = false;
    await screen.print(
      options.isJson ? formatReport(checked, options) : describe(screen, checked, options).join('\n'),
    );
  };
  for (const directory of directories) {
    const trail = trailAt(directory);
    const followed = await verifyTrail({ ...trail, kept: [...trail.kept, ...extra] }, common);
    const found = comparedWithSecret(followed, judges, directory);
    const verdict = options.isAccepting ? accept(screen, options, directory, found) : found;
    const places = new Map(trail.files.map(({ name, path }) => [name, path]));
    const pathOf = (file: string): string => places.get(file) ?? join(directory, file);
    // Earlier records can be retired; the verdict has checked that.
    await report({ ...judged(verdict, options, false), target: directory, copies: 0, others: 0, pathOf });
  }
  if (files.length > 0) {
    const { isReceived } = options;
    const sources = files.map((path) => sourceAt(path, isReceived));
    const { verdict, copies, others } = await verifyReceived(sources, { ...common, isReceived, kept: extra });
    const places = new Map(sources.map(({ name }, at) => [name, files[at] ?? name]));
    const pathOf = (file: string): string => places.get(file) ?? file;
    const target = files.map((path) => (path === '-' ? 'standard input' : path)).join(' ');
    await report({ ...judged(verdict, options, true), target, copies, others, pathOf });
  }
  await screen.flush();
  return isGood ? exitCodes.ok : exitCodes.failed;
}

/** The keys of the command line, else those accepted for this configuration, else the host's own. Throws a CommandFault. */
function judgesOf(
  screen: Screen,
  options: VerifyOptions,
  directory: string,
  signKeyFile: string | undefined,
): Judges {
  const { keys, isAccepting } = options;
  const config = configOf(options.places);
  if (isAccepting && (config === undefined || keys.length > 0))
    throw new CommandFault(
      exitCodes.usage,
      '--accept-key is for the journal of a configuration, without --key',
    );
  if (config === undefined || keys.length > 0)
    return { trusted: keys.map(readKey), own: undefined, text: '', isOwn: false };
  const path = join(directory, publicKeyName);
  const secretFile = signKeyFile !== undefined && isReadable(signKeyFile) ? signKeyFile : undefined;
  const own = secretFile !== undefined || existsSync(path) ? readKey(secretFile ?? path) : undefined;
  const isOwn = secretFile !== undefined;
  const text = isOwn ? " by this host's own key" : ` by ${publicKeyName}, which lies beside the journal`;
  if (isAccepting) {
    demandMayAccept(config, askingFor(directory));
    if (own === undefined)
      throw new CommandFault(exitCodes.configuration, `there is no ${path} to be accepted`);
    return { trusted: [], own, secretFile, text, isOwn };
  }
  const accepted = readAccepted(config, askingFor(directory));
  if (accepted.problem !== undefined)
    screen.complain(`dovegate: warning: ${accepted.path} is ignored: ${accepted.problem}`);
  if (accepted.keys.length === 0)
    return { trusted: [], own, secretFile, text: own === undefined ? '' : text, isOwn };
  return {
    trusted: accepted.keys,
    own: undefined,
    text: ` by this host's own key, accepted in ${accepted.path}`,
    isOwn: true,
  };
}

/** An attacker who replaces a journal replaces its `key.pub` too, so it is compared with the private key where that can be read. */
function comparedWithSecret(verdict: Verdict, { own, secretFile }: Judges, directory: string): Verdict {
  if (own === undefined || secretFile === undefined) return verdict;
  const path = join(directory, publicKeyName);
  const shown = existsSync(path) ? parsePublicKey(readSmallFile(path)) : own;
  const { keys, signedSeq } = verdict;
  const other =
    shown !== own
      ? { file: publicKeyName, is: `this is ${shown ?? 'none'}` }
      : signedSeq === undefined && keys.length > 0
        ? { file: '', is: `${keys.join(', ')} signed this journal` }
        : undefined;
  if (other === undefined) return verdict;
  const text = `${secretFile} holds key ${own}, and ${other.is}`;
  const fault: TrailFault = { file: other.file, line: 0, seq: undefined, kind: 'key-change', text };
  return { ...verdict, faults: [fault, ...verdict.faults], faultCount: verdict.faultCount + 1 };
}

/** Only if there is no other fault: a person who accepts a key must have seen those first. */
function accept(screen: Screen, { places, judges }: Judging, directory: string, verdict: Verdict): Verdict {
  const { own: key } = judges;
  const config = configOf(places);
  const isOther = ({ kind }: TrailFault): boolean => kind !== 'key-change';
  if (config === undefined || key === undefined) return verdict;
  if (verdict.faults.some(isOther) || verdict.signedSeq === undefined) {
    screen.complain(`dovegate: ${key} was not accepted: look at the other faults first`);
    return verdict;
  }
  const acceptance = { key, journal: verdict.journal, wallMs: systemClock.wallMs() };
  const file = acceptKey(config, { ...acceptance, ...askingFor(directory) });
  screen.complain(`dovegate: accepted ${key} (${file})`);
  return { ...verdict, faults: [], faultCount: 0 };
}

/** Undefined: directories or files were named. */
function configOf({ config, paths }: Places): string | undefined {
  return paths.length > 0 ? undefined : (config ?? standardConfig());
}

function askingFor(directory: string): Asking {
  return { userId: process.geteuid?.() ?? 0, ownerId: statSync(directory).uid };
}

/** Whether this user may read it; the daemon's user and root may. */
function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function readKey(path: string): string {
  const key = parsePublicKey(readSmallFile(path));
  if (key === undefined)
    throw new CommandFault(
      exitCodes.configuration,
      `${path} holds no Ed25519 key: PEM (public or private) or base64`,
    );
  return key;
}

/** The last checkpoint in a file: a line of the journal, or a line of the log that quotes one. */
function readCheckpoint(path: string): KeptCheckpoint {
  for (const line of readSmallFile(path).trimEnd().split('\n').toReversed()) {
    const parsed = parseLine(line);
    if (parsed?.['event'] === 'checkpoint') return { file: path, text: line };
    const quoted = parsed?.['text'];
    if (typeof quoted === 'string' && parseLine(quoted)?.['event'] === 'checkpoint')
      return { file: path, text: quoted };
  }
  throw new CommandFault(exitCodes.configuration, `${path} holds no checkpoint`);
}

function sourceAt(path: string, isReceived: boolean): LineSource {
  if (path === '-') return { name: path, isCompressed: false, pieces: () => cutPieces(standardInput()) };
  const [file] = findTrail([path]).files;
  if (file === undefined) throw new CommandFault(exitCodes.configuration, `${path} cannot be read`);
  // Segments get the name that later segments use for them.
  const name = isReceived ? path : basename(file.name);
  return { name, isCompressed: file.isCompressed, pieces: () => readPieces(file) };
}

async function* standardInput(): AsyncGenerator<Buffer> {
  for await (const chunk of process.stdin) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
}

/** The verdict's faults, and records that the caller asked for and that are missing. */
function judged(
  verdict: Verdict,
  { fromSeq }: VerifyOptions,
  isFirstAsked: boolean,
): Pick<Checked, 'verdict' | 'faults'> {
  const { firstSeq, lastSeq, records, faults } = verdict;
  const missing = (text: string): Pick<Checked, 'verdict' | 'faults'> => ({
    verdict,
    faults: [...faults, { file: '', line: 0, seq: fromSeq ?? 1, kind: 'missing', text }],
  });
  if (records === 0 && faults.length === 0) return missing('there is no record');
  if (fromSeq === undefined || firstSeq === undefined || lastSeq === undefined) return { verdict, faults };
  if (lastSeq < fromSeq) return missing(`the last record is ${lastSeq}`);
  if (isFirstAsked && firstSeq > fromSeq) return missing(`the first record from there on is ${firstSeq}`);
  return { verdict, faults };
}

function isChecked({ judges }: Judging): boolean {
  return judges.trusted.length > 0 || judges.own !== undefined;
}

function isPassed({ faults }: Checked, options: Judging): boolean {
  return faults.length === 0 && (isChecked(options) || options.isUnsigned);
}

function describe(screen: Screen, checked: Checked, options: Judging): string[] {
  const { verdict, faults, copies, others, pathOf } = checked;
  const { records, firstSeq, lastSeq, firstTime, lastTime, journal, openCount } = verdict;
  const range = firstSeq === undefined ? '' : `, seq ${firstSeq} to ${lastSeq ?? firstSeq}`;
  const id = journal === undefined ? '' : `, journal ${printable(journal)}`;
  const lines = [`${printable(checked.target)}: ${plural(records, 'record')}${range}${id}`];
  for (const fault of faults) lines.push(`  ${screen.paint('bad', describeFault(fault, pathOf))}`);
  const faultCount = Math.max(verdict.faultCount, faults.length);
  if (faultCount > faults.length) lines.push(`  and ${plural(faultCount - faults.length, 'more fault')}`);
  if (firstTime !== '') lines.push(printable(`  from ${firstTime} to ${lastTime}`));
  for (const each of verdict.retired) lines.push(`  ${describeRetired(each, firstTime)}`);
  if (options.isReceived)
    lines.push(`  ${plural(copies, 'copy', 'copies')} left out, ${plural(others, 'line')} of others`);
  if (verdict.isTorn)
    lines.push('  the last line has no end: a crash, or a record that is being written now');
  if (verdict.isNewer) lines.push('  a later release wrote this: its new keys were not looked at');
  if (openCount > 0) lines.push(`  ${screen.paint('doubtful', describeOpen(verdict, pathOf))}`);
  lines.push(`  ${describeSignatures(verdict, options)}`);
  if (isPassed(checked, options)) lines.push(screen.paint('good', 'passed'));
  else if (faultCount > 0) {
    lines.push(screen.paint('bad', `failed: ${plural(faultCount, 'fault')}`));
    if (faults.some(({ kind }) => kind === 'key-change'))
      lines.push('if you changed the key: dovegate audit verify --config FILE --accept-key');
  } else {
    const text =
      'failed: nothing is changed or missing, but no signature was checked, so this cannot be proved (--key FILE, or --unsigned)';
    lines.push(screen.paint('bad', text));
  }
  return lines;
}

function describeFault({ file, line, seq, kind, text }: TrailFault, pathOf: Checked['pathOf']): string {
  const path = file === '' ? '' : line === 0 ? `${pathOf(file)}: ` : `${pathOf(file)}:${line}: `;
  const number = seq === undefined ? '' : `seq ${seq}: `;
  return printable(`${path}${number}${kind}: ${text}`);
}

function describeOpen({ open, openCount }: Verdict, pathOf: Checked['pathOf']): string {
  const shown = open
    .slice(0, openShownMax)
    .map(({ id, seq, file, line }) => printable(`${id} (${pathOf(file)}:${line}, seq ${seq})`));
  const more = openCount > shown.length ? ', ...' : '';
  const what = openCount === 1 ? 'exchange has' : 'exchanges have';
  return `warning: ${openCount} ${what} no completion, so it is running or its outcome is unknown: ${shown.join(', ')}${more}`;
}

function describeSignatures({ signedSeq, lastSeq, keys }: Verdict, options: Judging): string {
  if (!isChecked(options)) {
    const said =
      keys.length === 0 ? 'nothing here is signed' : `signed by ${keys.join(', ')}, says the journal`;
    const isThere =
      configOf(options.places) === undefined ? 'no --key was given' : `there is no ${publicKeyName}`;
    return printable(`signatures were not checked: ${isThere} (${said})`);
  }
  if (signedSeq === undefined) return 'no signature of a trusted key was found';
  const behind = (lastSeq ?? signedSeq) - signedSeq;
  const rest = behind > 0 ? `; ${plural(behind, 'later record')} only chained to that` : '';
  return printable(`signed up to seq ${signedSeq}${options.judges.text}${rest}`);
}

function formatReport(checked: Checked, options: Judging): string {
  const { verdict, faults, copies, others, pathOf } = checked;
  const { records, firstSeq, lastSeq, journal, signedSeq, keys, open, openCount, isTorn, isNewer } = verdict;
  return formatJson({
    target: checked.target,
    passed: isPassed(checked, options),
    signatures_checked: isChecked(options),
    by_own_key: options.judges.isOwn,
    records,
    first_seq: firstSeq,
    last_seq: lastSeq,
    first_time: verdict.firstTime === '' ? undefined : verdict.firstTime,
    last_time: verdict.lastTime === '' ? undefined : verdict.lastTime,
    retired: verdict.retired,
    journal,
    signed_seq: signedSeq,
    keys,
    fault_count: Math.max(verdict.faultCount, faults.length),
    faults: faults.map(({ file, line, seq, kind, text }) => ({ file: pathOf(file), line, seq, kind, text })),
    open_count: openCount,
    open: open.map(({ id, seq, file, line }) => ({ id, seq, file: pathOf(file), line })),
    torn: isTorn,
    newer: isNewer,
    ...(options.isReceived && { copies, others }),
  });
}

function plural(count: number, word: string, words = `${word}s`): string {
  return `${count} ${count === 1 ? word : words}`;
}
