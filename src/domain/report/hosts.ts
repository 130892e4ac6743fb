// Whether the journals of a fleet contain everything that happened in a time, host by host, from the verifier's findings. Pure. A host is
// complete only if its trail covers the whole time, its listed key signed it, and there is no finding, not even an accepted one: an
// accepted hole is still a hole. A host is proven to its last signed record. The last `tailMsMax` before now may lack that proof, because
// checkpoints come once a minute; the fleet is called complete to the earliest proof of a host.

import { formatTime } from '../audit/record.js';
import type { FleetFinding } from '../fleet/shapes.js';
import {
  type AskedTime,
  type Completeness,
  type Doubt,
  type HostCompleteness,
  tailMsMax,
} from './completeness.js';

export interface HostTrail {
  readonly host: string;
  readonly key: string | undefined;
  /** RFC 3339: its first record in the stream, and the last one, which was verified; undefined: none yet. */
  readonly firstTime: string | undefined;
  readonly lastTime: string | undefined;
  readonly seq: number | undefined;
  readonly signedSeq: number | undefined;
  /** RFC 3339: the record `signedSeq`; undefined: no signature. */
  readonly signedTime?: string | undefined;
  readonly findings: readonly FleetFinding[];
  readonly accepted: readonly (FleetFinding & { readonly acceptedMs?: number | undefined })[];
}

/** Kinds without a bearing on missing records. */
const notes: ReadonlySet<FleetFinding['kind']> = new Set(['open', 'differs', 'repeated']);
/** Kinds that end with their acceptance. */
const settled: ReadonlySet<FleetFinding['kind']> = new Set([
  ...notes,
  'new-journal',
  'unknown-host',
  'stream-replaced',
  'key-replaced',
]);
const shownMax = 5;

/** `general`: findings without a host. */
export function judgeHosts(
  trails: readonly HostTrail[],
  general: Pick<HostTrail, 'findings' | 'accepted'>,
  asked: AskedTime,
): Completeness {
  const times = (of: (trail: HostTrail) => string | undefined): readonly string[] =>
    trails
      .map(of)
      .filter((time) => time !== undefined)
      .toSorted();
  const endMs = asked.toMs === undefined ? undefined : Math.min(asked.toMs, asked.nowMs);
  const firstTime = times((trail) => trail.firstTime)[0] ?? '';
  const from = asked.fromMs === undefined ? firstTime : formatTime(asked.fromMs);
  const end = endMs === undefined ? formatTime(asked.nowMs) : formatTime(endMs);
  const to = end < from ? from : end;
  const nowEnd = formatTime(asked.nowMs - tailMsMax);
  const time = {
    from: asked.fromMs === undefined ? undefined : from,
    to,
    provedMin: to < nowEnd ? to : nowEnd,
  };
  const hosts = trails.map((trail) => judgeHost(trail, time));
  const provedTo = times(provedOf)[0] ?? to;
  const ofFleet = limited([
    ...general.findings.map((finding) => doubtOf(finding)),
    ...general.accepted.flatMap((finding) => acceptedOf(finding, from)),
    ...(trails.length === 0 ? [{ code: 'empty', text: 'no host is listed', isSerious: true } as const] : []),
  ]);
  const ofHosts = hosts.flatMap(({ host, doubts }) =>
    doubts.map((doubt) => ({ ...doubt, text: `${host}: ${doubt.text}` })),
  );
  const doubts = [...ofFleet, ...ofHosts];
  const isComplete = !doubts.some(({ isSerious }) => isSerious);
  const isEarlier = isComplete && provedTo < to;
  if (isEarlier && asked.toMs !== undefined) {
    const text = `the time ends at ${to}; records after ${provedTo} may not have come yet`;
    doubts.push({ code: 'ends-earlier', text, isSerious: false });
  }
  return {
    isComplete,
    from,
    to: isEarlier ? provedTo : to,
    signedTo: undefined,
    signedBy: undefined,
    whose: '',
    doubts,
    hosts,
  };
}

/** Without a key the last record counts. */
function provedOf({ signedTime, lastTime }: HostTrail): string | undefined {
  return lastTime === undefined ? undefined : (signedTime ?? lastTime);
}

interface NeededTime {
  /** Undefined: as far as its trail goes. */
  readonly from: string | undefined;
  readonly to: string;
  /** An earlier proof is not enough. */
  readonly provedMin: string;
}

function judgeHost(trail: HostTrail, { from, to, provedMin }: NeededTime): HostCompleteness {
  const proved = provedOf(trail);
  const { host, key, firstTime, seq, signedSeq, findings, accepted } = trail;
  const doubts: Doubt[] = [];
  const doubt = (code: Doubt['code'], text: string, isSerious = true): void => {
    doubts.push({ code, text, isSerious });
  };
  if (proved === undefined) doubt('empty', 'no record came from it yet');
  else {
    const isSilent = findings.some(({ kind, time = '' }) => kind === 'silent' && time < to);
    const isEarlier = proved < provedMin || (from !== undefined && proved <= from);
    if (firstTime === undefined) doubt('fault', 'its first message in the stream is not a record');
    else if (from !== undefined && firstTime > from)
      doubt(
        'begins-later',
        `its journal begins in the stream at ${firstTime}; nothing is known of the time before it`,
      );
    if (isEarlier && !isSilent)
      doubt('ends-earlier', `it is proved to ${proved}; nothing proves that the records after that came`);
    if (key === undefined)
      doubt('unsigned', 'no key is listed for it, so nothing proves who wrote its records');
    else if ((signedSeq ?? 0) < (seq ?? 0))
      doubt(
        'unsigned-tail',
        `records ${(signedSeq ?? 0) + 1} to ${seq ?? 0} are chained and not signed yet`,
        signedSeq === undefined,
      );
  }
  for (const finding of findings) {
    if (finding.kind === 'never-seen') continue;
    // Everything of the requested time arrived.
    if (finding.kind === 'silent' && (finding.time ?? '') >= to) continue;
    doubts.push(doubtOf(finding));
  }
  for (const finding of accepted) doubts.push(...acceptedOf(finding, from ?? ''));
  return {
    host,
    isComplete: !doubts.some(({ isSerious }) => isSerious),
    to: proved,
    seq,
    signedSeq,
    signedBy: key,
    doubts: limited(doubts),
  };
}

function doubtOf({ kind, seq, text }: FleetFinding): Doubt {
  const where = seq === undefined ? '' : `seq ${seq}: `;
  if (notes.has(kind)) return { code: 'finding', text: `${kind}: ${where}${text}`, isSerious: false };
  const code = kind === 'silent' ? 'silent' : kind === 'clock-apart' ? 'clock' : 'fault';
  return { code, text: `${kind}: ${where}${text}`, isSerious: true };
}

/** Findings before the requested time do not concern it. */
function acceptedOf(finding: HostTrail['accepted'][number], from: string): readonly Doubt[] {
  const { kind, time, acceptedMs } = finding;
  if (time !== undefined && time < from) return [];
  const { code, text } = doubtOf(finding);
  const since = acceptedMs === undefined ? '' : ` on ${formatTime(acceptedMs).slice(0, 10)}`;
  const isSerious = !settled.has(kind);
  return [{ code: isSerious ? code : 'finding', text: `${text} (accepted${since})`, isSerious }];
}

/** The serious ones first. */
function limited(doubts: readonly Doubt[]): readonly Doubt[] {
  const order = doubts.toSorted((one, other) => Number(other.isSerious) - Number(one.isSerious));
  const shown = order.slice(0, shownMax);
  const more = order.slice(shownMax);
  if (more.length === 0) return shown;
  const isSerious = more.some((doubt) => doubt.isSerious);
  return [
    ...shown,
    { code: 'finding', text: `and ${more.length} more; dovegate audit fleet status shows them`, isSerious },
  ];
}
