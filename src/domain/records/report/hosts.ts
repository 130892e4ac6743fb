// Whether the journals of several hosts contain everything that happened in a time: each host by the verdict on its own journal, and all
// of them only as far as the one that is proved least. Of a host without a journal nothing is proved; one that had several journals in
// that time is not complete, because nothing proves the end of an earlier one.

import { countWords, plural } from '../../language/words/words.js';
import { formatTime } from '../audit/record.js';
import type { Verdict } from '../trail/verify.js';
import {
  type AskedTime,
  type Completeness,
  type DigestTold,
  type Doubt,
  type HostCompleteness,
  judgeCompleteness,
  momentText,
  tailMsMax,
  type Vouching,
} from './completeness.js';

export interface HostJournal extends Vouching {
  readonly verdict: Verdict;
  /** What of it the verifier of the mirror has verified, and signed; undefined: nothing that counts here. */
  readonly digest?: DigestTold | undefined;
  /** Why it was read whole although others need not be, in a few words. */
  readonly whyWhole?: string | undefined;
  /** How far the verifier had mirrored it, as a signed digest says that does not fit it any more; undefined: there is none. */
  readonly mirroredTo?: Omit<DigestTold, 'key'> | undefined;
}

export interface HostTrail {
  readonly host: string;
  /** The one that is written last. */
  readonly journals: readonly HostJournal[];
}

/** At a socket of people, where nothing is verified. `firstTime`: of the first record that was seen; empty: none was. */
export function unverifiedHosts(firstTime: string, { fromMs, toMs, nowMs }: AskedTime): Completeness {
  return {
    isComplete: false,
    from: fromMs === undefined ? firstTime : formatTime(fromMs),
    to: firstTime === '' ? '' : formatTime(Math.min(toMs ?? nowMs, nowMs)),
    signedTo: undefined,
    signedBy: undefined,
    whose: '',
    doubts: [{ code: 'unverified', text: unverifiedText, isSerious: true }],
    hosts: [],
  };
}

const unverifiedText =
  'nothing was verified: at the socket of a fleet a report has no verdict; the verifier says whether records are missing or changed (audit fleet status)';

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
  doubts.push(...digestNotes(trails.flatMap(({ journals }) => journals)));
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

function digestNotes(journals: readonly HostJournal[]): readonly Doubt[] {
  const note = (text: string): Doubt => ({ code: 'digested', text, isSerious: false });
  const digests = journals.flatMap(({ digest }) => digest ?? []);
  const times = digests.map(({ to }) => to).toSorted();
  const keys = [...new Set(digests.map(({ key }) => key))];
  const [from = '', to = ''] = [times[0], times.at(-1)].map((time) => time && momentText(time));
  const until = from === to ? `${to} UTC` : `times from ${from} to ${to} UTC`;
  const which = plural(digests.length, 'journal was', 'journals were');
  const texts = [
    `${which} verified up to ${until} by the verifier of the mirror, ${keys.length === 1 ? 'key' : 'keys'} ${keys.join(', ')}, when it signed that`,
    'verified now: all that came later, and that the parts which may hold this mailbox are those that it signed; --whole verifies all again',
  ];
  const causes = new Map<string, number>();
  for (const { whyWhole } of journals)
    if (whyWhole !== undefined) causes.set(whyWhole, (causes.get(whyWhole) ?? 0) + 1);
  const whole = [...causes.values()].reduce((sum, count) => sum + count, 0);
  const why = [...causes].map(([cause, count]) => `${cause} (${countWords(count)})`).join(', ');
  return [
    ...(digests.length === 0 ? [] : [note(texts.join('; '))]),
    ...(whole === 0
      ? []
      : [note(`${plural(whole, 'journal was', 'journals were')} verified whole now: ${why}`)]),
  ];
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
  const { verdict: last, digest } = chosen.at(-1) ?? {};
  const isChecked = chosen.at(-1)?.isChecked === true;
  const doubts = judged.flatMap((one) => one.doubts);
  if (last === undefined) doubts.push({ code: 'empty', text: 'no record came from it yet', isSerious: true });
  if (chosen.length > 1) {
    const text = `it had ${chosen.length} journals in this time: what an earlier one lost at its end is not known`;
    doubts.push({ code: 'ends-earlier', text, isSerious: true });
  }
  const lost = journals.flatMap(({ verdict, mirroredTo }) =>
    mirroredTo !== undefined && mirroredTo.seq > (verdict.lastSeq ?? 0) ? [{ verdict, mirroredTo }] : [],
  );
  for (const { verdict, mirroredTo } of lost) {
    const text = `the verifier had mirrored and signed it to record ${mirroredTo.seq}, ${momentText(mirroredTo.to)} UTC, and it ends at record ${verdict.lastSeq ?? 0}: its end was cut off`;
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
      digest,
      doubts,
    },
  };
}

/** Without an end of the time, that of the newest host counts: one that is silent since long before is proved no further. */
function withLag(host: HostCompleteness, newest: string, { toMs }: AskedTime): HostCompleteness {
  const { to } = host;
  if (toMs !== undefined || to === undefined || Date.parse(newest) - Date.parse(to) <= tailMsMax) return host;
  const text = `it is proved to ${to}, and another host to ${newest}: nothing is known of the time between`;
  const doubts: readonly Doubt[] = [...host.doubts, { code: 'ends-earlier', text, isSerious: true }];
  return { ...host, isComplete: false, doubts };
}
