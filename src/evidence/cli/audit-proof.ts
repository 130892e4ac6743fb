// `dovegate audit export --with-proof`: the records of the found commands, and the lines that prove them with the public key
// alone (evidence/report/proof.ts defines the file). The journal is checked first and then read twice more, so that memory holds
// one bit for each found record, and no line.

import { filterTexts } from '../../gate/door/filter.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { CommandFault, plain } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import type { Piece } from '../../journal/files/compressed.js';
import { eachLine, type TrailFile } from '../../journal/files/trail.js';
import { readClaim } from '../../journal/records/ledger.js';
import { readHead } from '../../journal/records/record.js';
import { argumentCount } from '../../journal/records/stored.js';
import { readToDamage, searchTrail } from '../reading/search-trail.js';
import { createProofWriter, createSeqSet, formatProofTitle, type SeqSet } from '../report/proof.js';
import type { ExchangeRow } from '../trail/search.js';
import { formatExtract } from '../views/extract.js';
import { countIn, createOnlyCounted, withCounts } from '../views/only-counted.js';
import { isAsked, openPage } from './ask-page.js';
import { journalsOf, type Places } from './audit-places.js';
import { type CheckedJournal, checkJournal } from './audit-verify.js';

export interface ProofFlags {
  readonly key: readonly string[];
  /** Every line of the time range, so that an omission is visible. */
  readonly whole?: boolean;
}

/** Exit code 0; 1: some records cannot be proved yet, or the chain is broken. Throws as the readers do. */
export async function auditProof(
  screen: Screen,
  places: Places,
  filter: TrailFilter,
  { key, whole: isWhole = false }: ProofFlags,
): Promise<number> {
  const journal = await checkJournal(screen, places, key);
  const { verdict, isChecked } = journal;
  const { signedSeq, signedBy } = verdict;
  if (verdict.faultCount > 0) {
    const text = `this journal has ${plural(verdict.faultCount, 'fault')}, so nothing is proved from it: see dovegate audit verify`;
    throw new CommandFault(exitCodes.failed, text);
  }
  if (signedSeq === undefined || signedBy === undefined)
    throw new CommandFault(
      exitCodes.failed,
      'no signature covers this journal, so nothing can be proved from it',
    );
  if (!isChecked)
    screen.complain('dovegate: warning: no --key was given, so the signatures were not checked');

  const { chosen, unsigned } = await choose(journal, filter, signedSeq);
  const range = isWhole ? await rangeOf(journal, filter, signedSeq) : undefined;
  const keys = isChecked ? [...new Set([...journal.keys, signedBy])] : [];
  const title = { journal: verdict.journal, keys: keys.length > 0 ? keys : verdict.keys };
  for (const line of formatProofTitle({ ...title, question: describeFilter(filter), isWhole }))
    await screen.print(printable(line));
  const writer = createProofWriter({ chosen, keys, signedSeq, whole: range });
  for (const file of journal.trail.files) {
    for await (const piece of readToDamage(file)) {
      const lines: string[] = [];
      if (piece === undefined) continue;
      eachLine(piece, (line, isEnded) => {
        const text = isEnded ? writer.take(line) : undefined;
        if (text !== undefined) lines.push(text);
      });
      for (const line of lines) await screen.print(line);
      if (screen.isGone) return exitCodes.ok;
    }
  }
  const end = writer.finish();
  if (end !== undefined) await screen.print(end);
  await screen.flush();
  if (end === undefined) {
    const { seq = 0, text = '' } = writer.fault ?? {};
    throw new CommandFault(exitCodes.failed, `this is no proof: seq ${seq}: ${text}; start again`);
  }
  if (writer.records < chosen.size)
    throw new CommandFault(
      exitCodes.failed,
      'this is no proof: records that were found are gone; start again',
    );
  screen.complain(
    `dovegate: ${plural(writer.records, 'record')} with proof, signed by ${keys.join(', ') || signedBy}`,
  );
  const later = `after seq ${signedSeq} cannot be proved before the next signature: ask again in a minute`;
  if (unsigned > 0) screen.complain(`dovegate: ${plural(unsigned, 'record')} ${later}`);
  const isCut = range !== undefined && range.lastSeq > signedSeq;
  if (isCut) screen.complain(`dovegate: the end of the time, seq ${range.lastSeq}, ${later}`);
  return unsigned > 0 || isCut ? exitCodes.failed : exitCodes.ok;
}

/** The records of all found commands. `unsigned`: those without a signature yet. */
async function choose(
  { trail, verdict }: CheckedJournal,
  filter: TrailFilter,
  signedSeq: number,
): Promise<{ readonly chosen: SeqSet; readonly unsigned: number }> {
  const { lastSeq = signedSeq } = verdict;
  const chosen = createSeqSet();
  let unsigned = 0;
  const counted = createOnlyCounted(filter);
  const counts: ExchangeRow[] = [];
  const see = (_file: TrailFile, piece: Piece | undefined): void =>
    void (piece && counts.push(...counted.take(piece.bytes)));
  const rows = withCounts(searchTrail(trail, filter, see), counts);
  for await (const { admittedSeq, completedSeq, argumentSeqs = [], fields } of rows) {
    if (argumentSeqs.length < argumentCount(fields))
      throw new CommandFault(
        exitCodes.failed,
        `this is no proof: argument records of seq ${admittedSeq ?? '?'} are missing`,
      );
    for (const seq of [admittedSeq, ...argumentSeqs, completedSeq]) {
      if (seq === undefined || seq > lastSeq) continue;
      if (seq > signedSeq) unsigned += 1;
      else chosen.add(seq);
    }
  }
  return { chosen, unsigned };
}

/** The signed records of the requested time, with a neighbor on either side. `lastSeq`: the last record of that time, signed or not. */
async function rangeOf(
  { trail, verdict }: CheckedJournal,
  { sinceMs, untilMs }: TrailFilter,
  signedSeq: number,
) {
  const { firstSeq = 1, lastSeq = signedSeq } = verdict;
  const since = sinceMs === undefined ? '' : formatTime(sinceMs);
  const until = untilMs === undefined ? '~' : formatTime(untilMs);
  let first: number | undefined;
  let last = firstSeq;
  for (const file of trail.files) {
    for await (const piece of readToDamage(file)) {
      if (piece === undefined) continue;
      eachLine(piece, (line) => {
        const time = readHead(line.toString('latin1', 0, headBytes))?.time ?? '';
        if (time < since || time >= until) return;
        const seq = readClaim(line)?.seq;
        // Records written after the check are not included.
        if (seq === undefined || seq > lastSeq) return;
        first ??= seq;
        last = seq;
      });
    }
  }
  const fromSeq = Math.max(firstSeq, (first ?? signedSeq) - 1);
  return { fromSeq, toSeq: Math.max(fromSeq, Math.min(signedSeq, last + 1)), lastSeq: last };
}

/** Time and event are within this many bytes. */
const headBytes = 96;

/** As typed options, with times in UTC. */
function describeFilter(filter: TrailFilter): string {
  const { sinceMs, untilMs } = filter;
  const words = filterTexts.flatMap((key) =>
    filter[key] === undefined ? [] : [`--${key} ${JSON.stringify(filter[key])}`],
  );
  if (sinceMs !== undefined) words.push(`--since ${formatTime(sinceMs)}`);
  if (untilMs !== undefined) words.push(`--until ${formatTime(untilMs)}`);
  return words.join(' ') || 'all';
}

/**
 * With --socket: an extract signed with the key of the journal, since a proof by the chain has lines about others. Exit code 0. Rejects
 * with a CommandFault if the signature is invalid; the output must not be used then.
 */
export async function auditExtract(screen: Screen, places: Places, filter: TrailFilter): Promise<number> {
  // Throws, since --socket and files exclude each other.
  if (!isAsked(places)) await journalsOf(screen, places);
  const { page } = await openPage(screen, places);
  let count = 0;
  let counts = 0;
  let key = '';
  for await (const { rows, signed } of page.extracts(filter)) {
    const lines = formatExtract(signed, rows);
    if (lines === undefined)
      throw new CommandFault(
        exitCodes.failed,
        'the signature of the extract is not right; do not use this output',
      );
    for (const line of lines) await screen.print(line);
    const ofCounts = rows.filter(({ fields }) => countIn(fields) !== undefined).length;
    counts += ofCounts;
    count += rows.length - ofCounts;
    key = String(parseLine(signed.head)?.['key']);
    if (screen.isGone) return exitCodes.ok;
  }
  await screen.flush();
  const more = counts === 0 ? '' : ` and ${plural(counts, 'count')} of a flood`;
  const what = `${plural(count, 'command')}${more} in an extract signed by ${plain(key)}`;
  screen.complain(`dovegate: ${what}; it is no proof by the chain`);
  return exitCodes.ok;
}
