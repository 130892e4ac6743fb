// Counts destroying commands of past records against limits again after a restart. Input: pieces of whole lines of a journal, oldest first.
// Irrelevant lines are not parsed. A command that was never sent does not count; in doubt it counts.

import { asText, asTexts, parseLine, type StoredRecord } from '../../host/values/values.js';
import { asDistanceMs, asTimeMs } from '../../journal/records/record.js';
import { argumentCount, joinArguments } from '../../journal/records/stored.js';
import { RecordedAssessor, restoreLine } from '../../rules/answers/recorded-line.js';
import type { Settings } from '../../rules/config/settings.js';
import { originOfRecord } from '../../rules/identity/origin.js';
import { rulesOf } from '../../rules/policy/outcome.js';
import type { Obligations, Policy } from '../../rules/policy/policy.js';
import { type Limiter, limitAsks, type RebuildMoment, rebuiltMs } from '../../rules/policy/terms.js';

interface Held {
  readonly record: StoredRecord;
  readonly agoMs: number;
  readonly parts: StoredRecord[];
}

/** A refused exchange has its two records side by side, so only few must be held to see that it was not sent. */
const heldMax = 4096;

const needles = {
  admission: Buffer.from(',"effect":"destroy"'),
  unsent: Buffer.from(',"sent":false'),
  clock: Buffer.from('"event":"clock"'),
  arguments: Buffer.from('"event":"arguments"'),
};

/** Counts in `limiter` by the policies of `settings` as they are now. */
export function createSpent(settings: Settings, limiter: Limiter, moment: RebuildMoment) {
  const assessor = new RecordedAssessor(settings);
  const held = new Map<string, Held>();
  let stepsMs = moment.stepsBeforeMs;
  let counted = 0;

  return {
    take(piece: Buffer): void {
      for (const { what, line } of linesOf(piece)) {
        const record = parseLine(line);
        if (record === undefined) continue;
        if (what === 'clock') {
          stepsMs += asDistanceMs(record['step_ms']) ?? 0;
          continue;
        }
        const id = asText(record['id']);
        if (id === undefined) continue;
        if (what === 'unsent') held.delete(id);
        else if (what === 'arguments') addArguments(id, record);
        else hold(id, record);
      }
    },
    /** Call once, at the end; returns the number of counted commands. */
    finish(): number {
      for (const each of held.values()) spend(each);
      held.clear();
      return counted;
    },
  };

  function hold(id: string, record: StoredRecord): void {
    if (record['event'] !== 'admission' || record['decision'] !== 'allow') return;
    const timeMs = asTimeMs(record['time']);
    // Without the steps of the clock; an unknown time counts as now.
    const agoMs = Math.max(0, moment.wallMs - moment.stepsMs - ((timeMs ?? moment.wallMs) - stepsMs));
    if (agoMs >= rebuiltMs) return;
    held.set(id, { record, agoMs, parts: [] });
    const oldest = held.size > heldMax ? held.entries().next().value : undefined;
    if (oldest === undefined) return;
    held.delete(oldest[0]);
    spend(oldest[1]);
  }

  function addArguments(id: string, record: StoredRecord): void {
    const exchange = held.get(id);
    if (exchange !== undefined && exchange.parts.length < argumentCount(exchange.record))
      exchange.parts.push(record);
  }

  function spend({ record: admission, agoMs, parts }: Held): void {
    const record = parts.length === 0 ? admission : (joinArguments(admission, parts) ?? admission);
    const { policy: name, user } = record;
    const policy = settings.policies.get(asText(name) ?? '');
    if (policy === undefined) return;
    const judged = judgeAgain(policy, record);
    const users = asTexts([user]);
    const attempt = judged?.attempt ?? { users, masks: [], everybody: 'none' };
    const obligations = (judged && rulesOf(judged.decision).obligations) ?? obligationsOf(policy, record);
    const origin = originOfRecord(record);
    for (const ask of limitAsks(policy, obligations, attempt, origin))
      limiter.replay(ask, agoMs, moment.nowMs);
    counted += 1;
  }

  function judgeAgain(policy: Policy, record: StoredRecord) {
    const line = restoreLine(record, policy.added);
    if (typeof line === 'string') return undefined;
    const { judgement } = assessor.assess(line, policy).assessment;
    return judgement.kind === 'judged' ? judgement : undefined;
  }
}

function obligationsOf(policy: Policy, record: StoredRecord): Obligations | undefined {
  if (record['version'] !== policy.version) return undefined;
  const rule = [...policy.allow, ...policy.onRequest].find(
    ({ place }) => `${place.file}:${place.line}` === record['rule'],
  );
  return rule?.obligations;
}

/** The lines that hold one of the needles, in their order, as text. */
function* linesOf(piece: Buffer): Generator<{ what: keyof typeof needles; line: string }> {
  const next = { admission: -1, unsent: -1, clock: -1, arguments: -1 };
  for (let at = 0; ; ) {
    let what: keyof typeof needles | undefined;
    for (const key of ['admission', 'unsent', 'clock', 'arguments'] as const) {
      if (next[key] < at) next[key] = from(piece.indexOf(needles[key], at));
      if (next[key] < Infinity && (what === undefined || next[key] < next[what])) what = key;
    }
    if (what === undefined) return;
    const end = from(piece.indexOf(0x0a, next[what]), piece.length);
    yield { what, line: piece.toString('utf8', piece.lastIndexOf(0x0a, next[what]) + 1, end) };
    at = end + 1;
  }
}

function from(at: number, otherwise = Infinity): number {
  return at < 0 ? otherwise : at;
}
