// Goal: a host of a fleet is called complete only where its trail reaches over the time, its listed key vouches for it, and nothing is
// wrong with it; each reason against it is told, and one host's reasons are no other's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetFinding } from '../../../src/domain/fleet/shapes.js';
import type { AskedTime } from '../../../src/domain/report/completeness.js';
import { type HostTrail, judgeHosts } from '../../../src/domain/report/hosts.js';

const startMs = Date.UTC(2026, 10, 20, 8);
const hour = 3_600_000;
const at = (ms: number): string => new Date(startMs + ms).toISOString();
const asked = { fromMs: startMs, toMs: startMs + hour, nowMs: startMs + 2 * hour };
const whole: HostTrail = {
  host: 'gate1',
  key: 'KEY',
  firstTime: at(-hour),
  lastTime: at(2 * hour),
  seq: 100,
  signedSeq: 100,
  signedTime: at(2 * hour),
  findings: [],
  accepted: [],
};
const nothing = { findings: [], accepted: [] };
const found = (kind: FleetFinding['kind'], time?: string): FleetFinding => ({
  kind,
  host: 'gate1',
  seq: 7,
  time,
  text: 'look there',
});

/** Codes of the reasons against it, then of the notes in brackets. */
function reasonsOf(more: Partial<HostTrail>, time: Partial<typeof asked> = {}): string {
  const { hosts = [], isComplete } = judgeHosts([{ ...whole, ...more }], nothing, { ...asked, ...time });
  const [host] = hosts;
  assert.equal(host?.isComplete, isComplete);
  return (host?.doubts ?? []).map(({ code, isSerious }) => (isSerious ? code : `[${code}]`)).join(' ');
}

void test('each reason against a host', () => {
  assert.equal(reasonsOf({}), '');
  assert.equal(reasonsOf({ firstTime: at(1) }), 'begins-later');
  assert.equal(reasonsOf({ firstTime: undefined }), 'fault');
  assert.equal(reasonsOf({ firstTime: undefined, lastTime: undefined, seq: undefined }), 'empty');
  assert.equal(reasonsOf({ signedTime: at(hour) }), '');
  assert.equal(reasonsOf({ signedTime: at(hour - 1) }), 'ends-earlier');
  assert.equal(reasonsOf({ key: undefined }), 'unsigned');
  assert.equal(reasonsOf({ signedSeq: 99 }), '[unsigned-tail]');
  assert.equal(reasonsOf({ signedSeq: undefined }), 'unsigned-tail');
});

void test('complete only as far as every host is proved', () => {
  const judged = (ends: readonly number[], time: Partial<AskedTime>) => {
    const trails = ends.map((ms, index) => ({ ...whole, host: `gate${index}`, signedTime: at(ms) }));
    const { isComplete, to, doubts } = judgeHosts(trails, nothing, { ...asked, ...time });
    return [isComplete, to, doubts.map(({ code, isSerious }) => (isSerious ? code : `[${code}]`)).join(' ')];
  };
  const minute = 60_000;
  const now = { toMs: undefined, nowMs: startMs + hour };
  // A checkpoint comes once a minute, so up to five minutes before now need no proof; they are not called complete either.
  assert.deepEqual(judged([hour, hour - 5 * minute], now), [true, at(hour - 5 * minute), '']);
  assert.deepEqual(judged([hour, hour - 5 * minute - 1], now), [false, at(hour), 'ends-earlier']);
  // Nothing of the time is proved.
  const late = { ...now, fromMs: startMs + hour - minute };
  assert.deepEqual(judged([hour, hour - minute], late), [false, at(hour), 'ends-earlier']);
  assert.deepEqual(judged([hour, hour - minute + 1], late), [true, at(hour - minute + 1), '']);
  // The end of the time was named.
  const young = { toMs: startMs + hour, nowMs: startMs + hour + minute };
  assert.deepEqual(judged([hour, hour - 4 * minute], young), [true, at(hour - 4 * minute), '[ends-earlier]']);
  assert.deepEqual(judged([hour, hour - 4 * minute - 1], young), [false, at(hour), 'ends-earlier']);
  assert.deepEqual(judged([hour, hour], young), [true, at(hour), '']);
  // Of a time that has not begun, nothing is proved.
  const ahead = { ...now, fromMs: startMs + 2 * hour, toMs: startMs + 3 * hour };
  assert.deepEqual(judged([hour, hour], ahead), [false, at(2 * hour), 'ends-earlier ends-earlier']);
});

void test('findings: what stands, what a person accepted, and what lies before the time', () => {
  const rows: readonly (readonly [FleetFinding['kind'], string, string])[] = [
    ['missing', 'fault', 'fault'],
    ['cut-in-stream', 'fault', 'fault'],
    ['unknown-host', 'fault', '[finding]'],
    ['new-journal', 'fault', '[finding]'],
    ['clock-apart', 'clock', 'clock'],
    ['open', '[finding]', '[finding]'],
    ['differs', '[finding]', '[finding]'],
  ];
  for (const [kind, standing, accepted] of rows) {
    assert.equal(reasonsOf({ findings: [found(kind)] }), standing, kind);
    assert.equal(reasonsOf({ accepted: [{ ...found(kind), acceptedMs: startMs }] }), accepted, kind);
    assert.equal(reasonsOf({ accepted: [{ ...found(kind, at(-1)), acceptedMs: startMs }] }), '', kind);
    assert.equal(reasonsOf({ accepted: [{ ...found(kind, at(1)), acceptedMs: startMs }] }), accepted, kind);
  }
  assert.equal(reasonsOf({ findings: [found('silent', at(10)), found('never-seen')] }), 'silent');
  // It went silent after the time.
  assert.equal(reasonsOf({ findings: [found('silent', at(hour))] }), '');
  const many = Array.from({ length: 9 }, () => found('missing'));
  assert.equal(reasonsOf({ findings: [found('open'), ...many] }), 'fault fault fault fault fault finding');
});

void test('one host that is not complete, and findings of no host', () => {
  const two = { ...whole, host: 'gate2', key: undefined };
  const judged = judgeHosts([whole, two], nothing, asked);
  assert.deepEqual(
    judged.hosts?.map(({ host, isComplete }) => `${host} ${isComplete}`),
    ['gate1 true', 'gate2 false'],
  );
  assert.equal(judged.isComplete, false);
  assert.match(judged.doubts[0]?.text ?? '', /^gate2: no key is listed/);
  assert.equal(judgeHosts([whole], nothing, asked).isComplete, true);
  const general = { findings: [found('stream-replaced')], accepted: [] };
  assert.equal(judgeHosts([whole], general, asked).isComplete, false);
  assert.equal(judgeHosts([], nothing, asked).isComplete, false);
});

void test('without a time: from the first record of all hosts to now', () => {
  const late = { ...whole, host: 'gate2', firstTime: at(0) };
  const { from, to, isComplete } = judgeHosts([whole, late], nothing, {
    fromMs: undefined,
    toMs: undefined,
    nowMs: startMs + 2 * hour,
  });
  assert.deepEqual([from, to, isComplete], [at(-hour), at(2 * hour), true]);
});
