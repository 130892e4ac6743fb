// What only shows over the whole run: refusals that are in no record, commands that went out while the disk stood still, too many
// commands at once at a backend, words in the gate's log, and what the program's own verifier says.
import { join } from 'node:path';
import { catalog } from './catalog.js';
import type { ChainSummary } from './chain.js';
import { type Entry, nameArrival, nameEntry } from './evidence.js';
import type { Faults } from './faults.js';
import { add, type JournalSummary } from './journal.js';
import { median } from './leaks.js';
import { count, forEachLine, type Json, object, text } from './read-lines.js';
import type { Report } from './report.js';

/** A kill takes the counts of the last second with it, and what was answered just then. */
const killMs = 3000;
/** The driver needs a moment to stop the disk, and to let it go. */
const stallMs = 400;

/** Refused commands have a record, or are counted in a `limit` record of their principal, or in one for all others. */
export function checkRefusals(
  entries: readonly Entry[],
  journal: JournalSummary,
  faults: Faults,
  report: Report,
): void {
  const answered = new Map<string, number>();
  const kills = faults.of('kill');
  for (const entry of entries) {
    const isRefusal = /^-(?:NOPERM|USAGE)$/.test(entry.status) || /^exit (?:64|77)$/.test(entry.status);
    if (!isRefusal || entry.arrivals.length > 0 || entry.command.startsWith('dovegate ')) continue;
    // The real program refuses wrong usage by itself.
    if (entry.kind === 'doveadm' && entry.status === 'exit 64') continue;
    if (kills.some((one) => one.began >= entry.begun - killMs && one.began <= entry.ended + killMs)) continue;
    add(answered, entry.principal, 1);
  }
  let spare = journal.limited.get('') ?? 0;
  for (const [principal, number] of answered) {
    const known = (journal.refused.get(principal) ?? 0) + (journal.limited.get(principal) ?? 0);
    if (number <= known) continue;
    spare -= number - known;
    if (spare < 0)
      report.add(
        'not-admitted',
        `${number} refusals of ${principal} were answered, ${known} are recorded or counted`,
        'journal',
      );
  }
}

/**
 * While nothing can be synced, no command of a strict effect leaves. Only commands that began within the stall count: one that began
 * before may have its record on the disk already.
 */
export function checkStalls(entries: readonly Entry[], faults: Faults, report: Report): void {
  const stalls = faults.all.filter((one) => one.isTotal && one.ended - one.began > 2 * stallMs);
  if (stalls.length === 0) return;
  for (const entry of entries) {
    const stall = stalls.find(
      (one) => entry.begun > one.began + stallMs && entry.begun < one.ended - stallMs,
    );
    if (stall === undefined) continue;
    for (const arrival of entry.arrivals) {
      const effect =
        catalog['2.4'].get(arrival.command)?.effect ?? catalog['2.3'].get(arrival.command)?.effect;
      if (effect === 'read' || arrival.at > stall.ended - stallMs) continue;
      report.add(
        'not-admitted',
        `${nameEntry(entry)} was sent while its record could not reach the disk`,
        nameArrival(arrival),
      );
    }
  }
}

/**
 * A command that began after another one had reached its backend was admitted after it too, so its admission has the higher seq. Both
 * times are the driver's. Where the order is the other way round, the first command was sent before its admission was recorded.
 */
export function checkOrder(entries: readonly Entry[], report: Report): void {
  const sent: { at: number; seq: number; entry: Entry }[] = [];
  const begun: { at: number; seq: number }[] = [];
  for (const entry of entries) {
    if (entry.exchanges.length === 0) continue;
    begun.push({ at: entry.begun, seq: Math.min(...entry.exchanges.map((one) => one.seq)) });
    for (const arrival of entry.arrivals) {
      const own = entry.exchanges.filter((one) => one.isTwin === arrival.isTwin);
      if (own.length === 1) sent.push({ at: arrival.at, seq: own[0]?.seq ?? 0, entry });
    }
  }
  sent.sort((one, other) => one.at - other.at);
  begun.sort((one, other) => one.at - other.at);
  let next = 0;
  let highest: { at: number; seq: number; entry: Entry } | undefined;
  let reported = -1;
  for (const { at, seq } of begun) {
    for (let one = sent[next]; one !== undefined && one.at < at; one = sent[next]) {
      if (highest === undefined || one.seq > highest.seq) highest = one;
      next += 1;
    }
    if (highest === undefined || highest.seq < seq || highest.seq === reported) continue;
    reported = highest.seq;
    report.add(
      'not-admitted',
      `${nameEntry(highest.entry)} was sent at ${highest.at}, and a command that began at ${at} has the lower seq ${seq}`,
      `journal seq ${highest.seq}`,
    );
  }
}

/** Checkpoints that did not come, where no stop of the process or of the disk explains it. */
export function checkCheckpoints(chain: ChainSummary, faults: Faults, report: Report): void {
  const { gaps } = chain;
  if (chain.clockRecords === 0 && faults.of('clock').length > 0)
    report.add('chain', 'the clock was set, and no clock record says so', 'journal');
  if (gaps.length < 10) return;
  const usual = median(gaps);
  const held = faults.all.filter(
    (one) => one.kind === 'stop' || one.kind === 'memory' || one.kind.startsWith('disk-'),
  );
  const longest = Math.max(0, ...held.map((one) => one.until - one.at));
  const most = usual * 3 + 30_000 + longest;
  for (const gap of gaps)
    if (gap > most) report.add('chain', `no checkpoint for ${gap} ms, usually each ${usual} ms`, 'journal');
}

/** `limits`: connections by backend, of run.json. */
export function checkConnections(entries: readonly Entry[], limits: Json | undefined, report: Report): void {
  for (const [backend, limit] of Object.entries(limits ?? {})) {
    const most = count(limit) ?? Infinity;
    const times = entries
      .flatMap((entry) =>
        entry.arrivals.filter((one) => one.backend === backend && Number.isFinite(one.ended)),
      )
      .flatMap(({ at, ended }) =>
        ended > at
          ? [
              { at, by: 1 },
              { at: ended, by: -1 },
            ]
          : [],
      )
      .toSorted((one, other) => one.at - other.at || one.by - other.by);
    let running = 0;
    for (const { at, by } of times) {
      running += by;
      if (running > most) {
        report.add(
          'leak',
          `${running} commands at once at ${backend}, which has ${most} connections`,
          `at ${at}`,
        );
        break;
      }
    }
  }
}

/** Events of the gate's log that no fault of a run explains. */
export async function checkLog(folder: string, report: Report): Promise<void> {
  const take = (line: Buffer, number: number): void => {
    if (line.includes('"event":"internal-error"'))
      report.add('lost', 'the gate ended by a fault of its own', `gate.log:${number}`);
    if (line.includes('"event":"audit-forked"'))
      report.add('fleet', 'the gate says that another one writes its journal', `gate.log:${number}`);
  };
  await forEachLine(join(folder, 'gate.log'), take);
}

/** The verifiers of the program must find faults where the oracle does, and only there. */
export function checkVerifiers(verify: Json | undefined, report: Report): void {
  for (const [name, value] of Object.entries(verify ?? {})) {
    const exit = count(object(value)?.exit);
    if (exit === undefined) continue;
    const isFleet = name.includes('fleet');
    // An admission without completion is a warning of `audit verify`.
    const own = report.count('chain') + (isFleet ? report.count('fleet') : 0);
    const last = text(object(value)?.output).trim().split('\n').slice(-3).join(' / ');
    if (exit === 0 && own > 0)
      report.add('verifier', `"${name}" passes, and the oracle has ${own} findings`, last);
    if (exit !== 0 && own === 0)
      report.add('verifier', `"${name}" exits with ${exit}, and the oracle finds nothing`, last);
  }
}
