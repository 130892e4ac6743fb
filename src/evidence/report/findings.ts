// The result of checking a whole journal, in sentences for people who do not know the word "chain". Pure. Readers may include people who
// may not see a mail user's name, and a damaged or forged journal may contain anything. So a sentence is made of numbers, times and keys in
// their proper form, and of our file names; never of text of a record.

import { formatTime, parseTime } from '../../host/words/instants.js';
import { plural } from '../../host/words/words.js';
import type { TrailFault, Verdict } from '../trail/verify.js';
import type { Finding, VerifyResult } from '../views/proof.js';
import type { RetiredRecords } from '../views/trail.js';

const shownMax = 20;

/** For a journal that was checked from its first record on with its daemon's key. */
export function findingsOf(verdict: Verdict): VerifyResult {
  const { faults, faultCount, records, firstSeq, lastSeq, signedSeq } = verdict;
  const findings: Finding[] = faults.slice(0, shownMax).map((each) => fault(sentenceOf(each)));
  const more = faultCount - findings.length;
  if (more > 0) findings.push(fault(`And ${more} more. dovegate audit verify shows the first ones in full.`));
  if (records === 0 && faultCount === 0) findings.push(fault('There is no record.'));
  const isWhole = findings.length === 0 && signedSeq !== undefined;
  findings.push(...notesOf(verdict).slice(0, shownMax * 2));
  return {
    isWhole,
    fromSeq: firstSeq,
    toSeq: lastSeq,
    fromTime: timeOf(verdict.firstTime),
    toTime: timeOf(verdict.lastTime),
    signedSeq,
    signedTime: timeOf(verdict.signedTime),
    signedBy: keyOf(verdict.signedBy),
    records,
    faultCount: Math.max(faultCount, isWhole ? 0 : 1),
    findings,
  };
}

function fault(text: string): Finding {
  return { kind: 'fault', text };
}

function sentenceOf({ kind, file, line, seq, text }: TrailFault): string {
  const record = seq === undefined ? 'A record' : `Record ${seq}`;
  const place = placeOf(file, line);
  switch (kind) {
    case 'changed':
      return `${record} was changed after it was written${place}: its text does not fit its hash.`;
    case 'malformed':
      return `A line is not a record${place}: the file was damaged there, or something was written into it.`;
    case 'missing':
      return `Records are missing, from ${seq ?? 'an unknown record'} on${place}: somebody or something removed them.`;
    case 'reordered':
      return `${record} stands in the wrong place${place}.`;
    case 'duplicated':
      return `${record} is there a second time${place}.`;
    case 'inserted':
      return `Two records claim the place ${seq ?? ''}${place}: one of them was put in.`;
    case 'unlinked':
      return `${record} does not continue the record before it${place}: one of the two was replaced.`;
    case 'arguments':
      return `Arguments of a command are not all there (record ${seq ?? ''})${place}: records that the admission announced are missing, changed or surplus.`;
    case 'segment-missing':
      return `A file of the journal is missing, and no signed record says that it was retired: records before ${
        seq === undefined ? 'the oldest one' : seq + 1
      } are gone${isOurs(file) && line === 0 ? ` (${file})` : place}.`;
    case 'clock-back':
      return `At record ${seq ?? ''} the time goes back, and no record says that the clock was set${place}.`;
    case 'foreign':
      return `${record} belongs to another journal${place}: a file was brought here from elsewhere.`;
    case 'bad-signature':
      return `A signature is not right${place}: the checkpoint was changed or forged.`;
    case 'untrusted':
      return `The end of the journal is not signed by the key of this daemon${place}. Either another key signed it, or this journal is younger than a minute and has no signature yet.`;
    case 'retire-untrusted':
      return `A retire record (${seq ?? ''}) is not signed by a key that is trusted${place}: it explains no gap, and somebody other than the daemon wrote it.`;
    case 'journal-appended':
      return text.startsWith('the daemon found then')
        ? `When dovegate was started (record ${seq ?? ''}), lines had been appended to the journal after the run before had ended. They were moved to a file *.appended.`
        : `After the daemon had stopped, another program wrote records${seq === undefined ? '' : `, from ${seq} on`}${place}.`;
    case 'rewritten':
      return `${record} is not the one that was signed${place}: it was replaced later.`;
    case 'cut':
      // These texts are ours, without words of a record.
      return text.startsWith('the daemon found then')
        ? `When dovegate was started (record ${seq ?? ''}), ${startTextOf(text)}.`
        : `The end is missing: a checkpoint names a later record, and the journal ends before record ${seq ?? ''}.`;
    case 'key-change':
      return `Another key signs${seq === undefined ? '' : ` from record ${seq} on`}, and the key before did not name it${place}. If you changed the key, root accepts it with: dovegate audit verify --config FILE --accept-key. If nobody did, somebody else signed this.`;
    default:
      return kind satisfies never;
  }
}

function startTextOf(text: string): string {
  const known = text.slice('the daemon found then: '.length);
  return /^[a-z ,]{10,120}$/.test(known) ? known : 'records before it were missing or changed';
}

function notesOf(verdict: Verdict): Finding[] {
  const { retired, firstSeq, signedSeq, lastSeq, keys, faults } = verdict;
  const notes: string[] = retired.map((each) => retiredText(each));
  if (retired.length > 0 && firstSeq !== undefined && firstSeq > 1)
    notes.push(`So the oldest record is ${firstSeq}. What was before it cannot be read here any more.`);
  if (signedSeq !== undefined && lastSeq !== undefined && lastSeq > signedSeq)
    notes.push(
      `${plural(lastSeq - signedSeq, 'newer record is', 'newer records are')} not signed yet, and chained to the last signature, of ${timeOf(verdict.signedTime) ?? 'an unknown time'}, which is up to record ${signedSeq}.`,
    );
  const known = keys.flatMap((key) => keyOf(key) ?? []);
  if (known.length > 1 && !faults.some(({ kind }) => kind === 'key-change' || kind === 'untrusted'))
    notes.push(
      `${known.length} keys signed one after the other, and each one named the next: ${known.slice(-3).join(', ')}.`,
    );
  if (verdict.openCount > 0)
    notes.push(
      `${plural(verdict.openCount, 'command has', 'commands have')} no recorded end: running now, or how it ended is not known.`,
    );
  for (const { seq, time, text } of verdict.forgotten)
    notes.push(
      `Before the start at ${timeOf(time) ?? 'an unknown time'} (record ${seq}) ${lossOf(text)}. Nobody need have done anything wrong.`,
    );
  for (const { seq, time } of verdict.returned)
    notes.push(
      `At the start at ${timeOf(time) ?? 'an unknown time'} (record ${seq}) files of the beginning of the journal were missing. They are there now.`,
    );
  for (const { from, to, seq, isAtStart } of verdict.steps)
    notes.push(
      isAtStart && from < to
        ? `dovegate did not run from ${from} to ${to}, or the clock was set ahead meanwhile.`
        : `The clock was set from ${from} to ${to} (record ${seq}), so times near it may be wrong.`,
    );
  if (verdict.isTorn)
    notes.push('The last line has no end: it was being written just then, or the machine crashed.');
  if (verdict.isNewer) notes.push('A later release wrote a part of this: what it added was not checked.');
  return notes.map((text) => ({ kind: 'note', text }));
}

function retiredText({ by, segments, until }: RetiredRecords): string {
  const cause =
    by === 'age'
      ? 'they were older than audit.keep'
      : by === 'size'
        ? 'audit.max_size was reached'
        : undefined;
  const before = timeOf(until);
  const what = `${plural(segments, 'file', 'files')} of old records ${segments === 1 ? 'was' : 'were'} retired`;
  const until_ = before === undefined ? '' : `, all before ${before}`;
  return `${what}${until_}${cause === undefined ? '' : ` (${cause})`}. Records of the journal say so, which is no gap.`;
}

function lossOf(text: string): string {
  return /^the memory of the run before [a-z ,]{4,80}(?: \(\d+ places\))?, so [a-z ]{10,90}$/.test(text)
    ? text
    : 'the last reads and outcomes may be missing';
}

function placeOf(file: string, line: number): string {
  if (!isOurs(file)) return '';
  return line === 0 ? ` (${file})` : ` (${file}, line ${line})`;
}

/** A record may name any file. */
function isOurs(file: string): boolean {
  return /^(\d{8,15}\.jsonl(\.gz)?|checkpoint(-\d{1,15})?\.json)$/.test(file);
}

function timeOf(text: string | undefined): string | undefined {
  const timeMs = text === undefined ? undefined : parseTime(text);
  return timeMs === undefined ? undefined : formatTime(timeMs);
}

/** Ed25519 in base64. */
function keyOf(text: string | undefined): string | undefined {
  return text !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(text) ? text : undefined;
}
