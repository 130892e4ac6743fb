// Whether the journals of several hosts contain everything that happened in a time: each host by the verdict on its own journal, and all
// of them only as far as the one that is proved least. Of a host without a journal nothing is proved; one that had several journals in
// that time is not complete, because nothing proves the end of an earlier one.

import { formatTime } from '../../host/words/instants.js';
import type { Verdict } from '../trail/verify.js';
import {
  type AskedTime,
  type Completeness,
  type Doubt,
  type HostCompleteness,
  judgeCompleteness,
  tailMsMax,
  type Vouching,
} from './completeness.js';

export interface HostJournal extends Vouching {
  readonly verdict: Verdict;
}

export interface HostTrail {
  readonly host: string;
  /** The most recently written one last. */
  readonly journals: readonly HostJournal[];
}

export function judgeHosts(trails: readonly HostTrail[], asked: AskedTime): Completeness {
  const judged = trails.map((trail) => judgeHost(trail, asked));
  const times = judged
    .map(({ host: { to } }) => to)
    .filter((to) => to !== undefined)
    .toSorted();
  const newest = times.at(-1) ?? '';
  const hosts = judged.map(({ host }) => withLag(host, newest, asked));
  const from = asked.fromMs === undefined ? undefined : formatTime(asked.fromMs);
  const end = asked.toMs === undefined ? undefined : formatTime(Math.min(asked.toMs, asked.nowMs));
  const begins = judged
    .map(({ from: first }) => first)
    .filter((first) => first !== '')
    .toSorted();
  const doubts: Doubt[] = hosts.flatMap((host) =>
    host.doubts.map((doubt) => ({ ...doubt, text: `${host.host}: ${doubt.text}` })),
  );
  if (hosts.length === 0) doubts.push({ code: 'empty', text: 'no host is there', isSerious: true });
  return {
    isComplete: !doubts.some(({ isSerious }) => isSerious),
    from: from ?? begins[0] ?? '',
    to: end ?? times[0] ?? '',
    signedTo: undefined,
    signedBy: undefined,
    whose: '',
    doubts,
    hosts,
  };
}

function judgeHost(
  { host, journals }: HostTrail,
  asked: AskedTime,
): { readonly host: HostCompleteness; readonly from: string } {
  const from = asked.fromMs === undefined ? '' : formatTime(asked.fromMs);
  const end = formatTime(asked.toMs ?? asked.nowMs);
  const within = journals.filter(({ verdict }) => verdict.lastTime >= from && verdict.firstTime < end);
  const chosen = within.length === 0 ? journals.slice(-1) : within;
  const judged = chosen.map((journal) => judgeCompleteness(journal.verdict, asked, journal));
  const { verdict: last } = chosen.at(-1) ?? {};
  const isChecked = chosen.at(-1)?.isChecked === true;
  const doubts = judged.flatMap((one) => one.doubts);
  if (last === undefined)
    doubts.push({ code: 'empty', text: 'no proved record came from it yet', isSerious: true });
  if (chosen.length > 1) {
    const text = `it had ${chosen.length} journals in this time: what an earlier one lost at its end is not known`;
    doubts.push({ code: 'ends-earlier', text, isSerious: true });
  }
  const { lastTime = '', lastSeq, signedSeq, signedBy, signedTime } = last ?? {};
  return {
    from: judged[0]?.from ?? '',
    host: {
      host,
      isComplete: !doubts.some(({ isSerious }) => isSerious),
      to: lastTime === '' ? undefined : ((isChecked ? signedTime : undefined) ?? lastTime),
      seq: lastSeq,
      signedSeq: isChecked ? signedSeq : undefined,
      signedBy: isChecked ? signedBy : undefined,
      doubts,
    },
  };
}

/** If no end was requested, the newest host sets it: a host that has been silent for long is not proved up to there. */
function withLag(host: HostCompleteness, newest: string, { toMs }: AskedTime): HostCompleteness {
  const { to } = host;
  if (toMs !== undefined || to === undefined || Date.parse(newest) - Date.parse(to) <= tailMsMax) return host;
  const text = `it is proved to ${to}, and another host to ${newest}: nothing is known of the time between`;
  const doubts: readonly Doubt[] = [...host.doubts, { code: 'ends-earlier', text, isSerious: true }];
  return { ...host, isComplete: false, doubts };
}
