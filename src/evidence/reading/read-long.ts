// Readings that take as long as the journal is large: the check of all of it, and reports. They send progress, and results in parts, each
// after the previous one was taken. Memory grows neither with the journal nor with the results. In a limited view all rows pass through it.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import type { Clock } from '../../host/ports/machine.js';
import { type Piece } from '../../journal/files/compressed.js';
import { findTrail, type Trail, type TrailFile } from '../../journal/files/trail.js';
import { sizesOf } from '../../journal/files/trail-size.js';
import { toldBy } from '../report/access.js';
import { type Doubt } from '../report/completeness.js';
import { findingsOf } from '../report/findings.js';
import { createHtmlReport } from '../report/html.js';
import { makeOwnerReport, type OwnerAsked, type OwnerFacts } from '../report/owner.js';
import {
  createCsvReport,
  createJsonReport,
  createPageReport,
  makeReport,
  type ReportAsked,
  type Reported,
} from '../report/report.js';
import { createSearch, type ExchangeRow } from '../trail/search.js';
import type { Verdict } from '../trail/verify.js';
import { withoutTexts } from '../trail/verify.js';
import type { OnlyCounter } from '../views/only-counted.js';
import type { VerifyProgress, VerifyResult } from '../views/proof.js';
import type { MailboxEnd } from '../views/trail.js';
import { createCover, createView } from '../views/view.js';
import { readAccess } from './read-access.js';
import { seqOfLine } from './reading.js';
import { checkTrail, filesSince, readToDamage, surveyTrails, verifyTrail } from './search-trail.js';

export type LongTask = { readonly directory: string; readonly ownKey: string } & (
  | { readonly long: 'verify' }
  | {
      readonly long: 'report';
      readonly report: ReportAsked;
      readonly form: keyof typeof forms;
      /** Patterns of the users whose records are shown; undefined: all records. */
      readonly users: readonly string[] | undefined;
      /** In a limited view: who the report is for, and why it is not complete. */
      readonly limits: { readonly viewer: string; readonly text: string } | undefined;
    }
  | { readonly long: 'owner'; readonly asked: OwnerAsked }
);

export type LongPart =
  /** Sent without waiting; a later one replaces it. */
  | { readonly part: 'progress'; readonly progress: VerifyProgress }
  | { readonly part: 'verified'; readonly result: VerifyResult }
  | { readonly part: 'owner'; readonly made: OwnerFacts }
  | { readonly part: 'counted'; readonly commands: number }
  /** An event of the endpoint `report`: its data as JSON. */
  | { readonly part: 'event'; readonly event: string; readonly data: string };

export type TellPart = (part: LongPart) => Promise<void>;

const faultsMax = 100;
const ownFiles = /^(\d{8,15}\.jsonl|checkpoint(-\d{1,15})?\.json)?$/;
const progressMs = 200;
/** Lines of a file are sent in blocks of at least this size. */
const textChars = 64 * 1024;

/** Rejects with a JournalFault where the journal cannot be read. */
export async function readLong(task: LongTask, clock: Pick<Clock, 'now'>, tell: TellPart): Promise<void> {
  const found = findTrail([task.directory]);
  const request = { trustedKeys: [], ownKey: task.ownKey, faultsMax };
  const hear = await createProgress(found, clock, tell);
  if (task.long === 'verify') {
    const findings = findingsOf(await verifyTrail(found, { ...request, fromSeq: undefined }, hear));
    return tell({ part: 'verified', result: findings });
  }
  const { verdict, trail } = await checkTrail(found, request, hear);
  if (task.long === 'owner') {
    const { asked } = task;
    const whole = reportedOf(trail, verdict, asked.mailbox, undefined, undefined);
    return tell({ part: 'owner', made: await makeOwnerReport(whole, asked) });
  }
  const { report, form: name, users, limits } = task;
  const reported = reportedOf(trail, verdict, report.mailbox, users, limits);
  const { counts, texts } = await makeReport(reported, report, forms[name]());
  const commands = counts.commands + counts.stopped;
  await tell({ part: 'counted', commands });
  if (name === 'page') {
    let event = 'head';
    for await (const data of texts) {
      await tell({ part: 'event', event, data });
      event = 'day';
    }
  } else {
    let text = '';
    for await (const line of texts) {
      text += `${line}\n`;
      if (text.length < textChars) continue;
      await tell({ part: 'event', event: 'text', data: JSON.stringify(text) });
      text = '';
    }
    await tell({ part: 'event', event: 'text', data: JSON.stringify(text) });
  }
  return tell({ part: 'event', event: 'end', data: JSON.stringify({ commands } satisfies MailboxEnd) });
}

const forms = {
  page: createPageReport,
  csv: createCsvReport,
  html: createHtmlReport,
  json: createJsonReport,
} as const;

function reportedOf(
  trail: Trail,
  verdict: Verdict,
  mailbox: string,
  users: readonly string[] | undefined,
  limits: { readonly viewer: string; readonly text: string } | undefined,
): Reported {
  const doubts: Doubt[] =
    limits === undefined ? [] : [{ code: 'limited-view', text: limits.text, isSerious: true }];
  return {
    verdict: users === undefined ? verdict : withoutTexts(verdict),
    isChecked: true,
    whose: 'the key of the daemon, as it says itself',
    // A forged record may name any file.
    pathOf: (file) => (ownFiles.test(file) ? file : 'a file of the journal'),
    rows: (filter, counted) => rowsOf(trail, filter, users, counted),
    survey: (filter) => surveyTrails([trail], filter, users),
    grants: async (sinceMs) =>
      toldBy(
        [await readAccess(trail, { sinceMs, user: mailbox }, users && createView(users))],
        users !== undefined,
      ),
    doubts: () => doubts,
    viewer: limits?.viewer,
  };
}

/**
 * The exchanges that match and that the view shows. Matching first and filtering the rows is ten times faster than passing all lines
 * through the view, with the same result: a row has the users of its admission. Lines that are not records are already faults of the
 * verdict.
 */
async function* rowsOf(
  trail: Trail,
  filter: TrailFilter,
  users: readonly string[] | undefined,
  counted: OnlyCounter | undefined,
): AsyncGenerator<ExchangeRow> {
  const search = createSearch(filter);
  const covers = users === undefined ? () => true : createCover(users);
  const shown = (rows: readonly ExchangeRow[]) => rows.filter(({ fields }) => covers(fields));
  for (const file of await filesSince(trail.files, filter.sinceMs))
    for await (const piece of readToDamage(file))
      if (piece !== undefined) {
        // A limited view hides the counts.
        if (users === undefined) counted?.take(piece.bytes);
        yield* shown(search.take(piece.bytes));
      }
  yield* shown(search.finish());
}

async function createProgress(
  trail: Trail,
  clock: Pick<Clock, 'now'>,
  tell: TellPart,
): Promise<(file: TrailFile, piece: Piece | undefined) => void> {
  const sizes = await sizesOf(trail.files);
  const sizeOf = new Map(trail.files.map((file, at) => [file, sizes[at] ?? 0]));
  const ofBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  let before = 0;
  let current: TrailFile | undefined;
  let within = 0;
  let toldMs = clock.now();
  void tell({ part: 'progress', progress: { bytes: 0, ofBytes, seq: 0 } });
  return (file, piece) => {
    if (file !== current) {
      before += current === undefined ? 0 : (sizeOf.get(current) ?? 0);
      current = file;
      within = 0;
    }
    within += piece?.bytes.length ?? 0;
    if (piece === undefined) return;
    if (clock.now() - toldMs < progressMs) return;
    toldMs = clock.now();
    const size = sizeOf.get(file) ?? 0;
    // How much text a compressed file holds is not known before its end, so it counts only once it was read.
    const read = before + (file.isCompressed ? 0 : Math.min(within, size));
    const { bytes } = piece;
    const seq = seqOfLine(bytes.subarray(bytes.lastIndexOf(0x0a, bytes.length - 2) + 1)) ?? 0;
    void tell({ part: 'progress', progress: { bytes: Math.min(read, ofBytes), ofBytes, seq } });
  };
}
