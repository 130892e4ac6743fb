// Goal: a host of a fleet is called complete only where its own journal proves it, and all hosts together only as far as the one that is
// proved least; each reason against a host is told with its name, and one host's reasons are no other's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AskedTime } from '../../../src/evidence/report/completeness.js';
import { type HostJournal, type HostTrail, judgeHosts } from '../../../src/evidence/report/hosts.js';
import type { Verdict } from '../../../src/evidence/trail/verify.js';
import { makeTrail, verify } from '../trail/paper-trail.js';

const startMs = Date.UTC(2026, 10, 20, 8);
const minute = 60_000;
const hour = 60 * minute;
const at = (ms: number): string => new Date(startMs + ms).toISOString();
const asked: AskedTime = { fromMs: startMs, toMs: startMs + hour, nowMs: startMs + 2 * hour };

const whole = verify(makeTrail());

function journal(more: Partial<Verdict> = {}, isChecked = true): HostJournal {
  const times = { firstTime: at(-hour), lastTime: at(2 * hour), signedTime: at(2 * hour) };
  const verdict: Verdict = { ...whole, lastSeq: 100, signedSeq: 100, ...times, ...more };
  return { verdict, isChecked, whose: '', pathOf: (file) => file };
}

/** Codes of the reasons against a host, then of the notes in brackets. */
function reasonsOf(journals: readonly HostJournal[], time: Partial<AskedTime> = {}): string {
  const { hosts = [], isComplete } = judgeHosts([{ host: 'gate1', journals }], { ...asked, ...time });
  const [host] = hosts;
  assert.equal(host?.isComplete, isComplete);
  return (host?.doubts ?? []).map(({ code, isSerious }) => (isSerious ? code : `[${code}]`)).join(' ');
}

void test('each reason against a host', () => {
  const tail = { lastTime: at(hour - 1), signedTime: at(hour - minute), signedSeq: 90 };
  const fault = { file: '00000001.jsonl', line: 4, seq: 4, kind: 'missing', text: 'record 4' } as const;
  for (const [reasons, ...journals] of [
    ['', journal()],
    ['empty'],
    ['empty', journal({ firstTime: '', lastTime: '' })],
    ['begins-later', journal({ firstTime: at(1) })],
    ['ends-earlier', journal({ lastTime: at(hour - 6 * minute) })],
    ['unsigned', journal({}, false)],
    ['[unsigned-tail]', journal(tail)],
    ['fault', journal({ faults: [fault], faultCount: 1 })],
  ] as const)
    assert.equal(reasonsOf(journals), reasons);
});

void test('of several journals only those of the time count, and two of them are not proved', () => {
  const before = journal({ firstTime: at(-3 * hour), lastTime: at(-2 * hour), signedTime: at(-2 * hour) });
  const after = journal({ firstTime: at(3 * hour), lastTime: at(4 * hour) });
  assert.equal(reasonsOf([before, journal()]), '');
  assert.equal(reasonsOf([journal(), after]), '');
  const early = { fromMs: startMs - 3 * hour };
  assert.equal(reasonsOf([before, journal()], early), 'ends-earlier begins-later ends-earlier');
  assert.equal(reasonsOf([before, after]), 'begins-later', 'nothing of the time itself');
});

void test('complete only as far as every host is proved', () => {
  const judged = (ends: readonly number[], time: Partial<AskedTime>) => {
    const trails = ends.map(
      (ms, index): HostTrail => ({
        host: `gate${index}`,
        journals: [journal({ lastTime: at(ms), signedTime: at(ms) })],
      }),
    );
    const { isComplete, to, doubts } = judgeHosts(trails, { ...asked, ...time });
    return [isComplete, to, doubts.map(({ code, text }) => `${text.split(':')[0]} ${code}`).join(' ')];
  };
  const now = { toMs: undefined, nowMs: startMs + hour };
  const early = hour - 6 * minute;
  assert.deepEqual(judged([hour, hour], {}), [true, at(hour), '']);
  assert.deepEqual(judged([hour, hour - minute], now), [true, at(hour - minute), '']);
  assert.deepEqual(judged([hour, early], now), [false, at(early), 'gate1 ends-earlier']);
  assert.deepEqual(judged([hour, early], {}), [false, at(hour), 'gate1 ends-earlier']);
});

void test('no host at all is not complete', () => {
  const { isComplete, doubts } = judgeHosts([], asked);
  assert.deepEqual([isComplete, doubts.map(({ code }) => code)], [false, ['empty']]);
});
