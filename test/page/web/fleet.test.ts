// Goal: the screen "proof" says of all gates what is known, of now or of earlier, and claims nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetGate, FleetSeen } from '../../../src/evidence/views/fleet.js';
import { gateState, judgeFleet, lagOf } from '../../../src/page/web/fleet.js';

const gate = (host: string, findings = 0): FleetGate => ({ host, findings, differs: [] });
const seen: FleetSeen = {
  at: '2026-11-21T09:00:00.000Z',
  store: '/srv/trail/dovegate',
  records: 4200,
  gates: [gate('a'), gate('b'), gate('c')],
  findingCount: 0,
  findings: [],
};

void test('all is well: how many gates, and when that was', () => {
  const checkpoint = { seq: 1200, at: '2026-11-21T08:00:00.000Z' };
  assert.deepEqual(judgeFleet({ seen: { ...seen, checkpoint } }), {
    tone: 'good',
    title: 'All 3 gates are complete',
    sentences: [
      '4,200 records in /srv/trail/dovegate verified, the last time at {2026-11-21T09:00:00.000Z}.',
      'The heads of all gates were signed at {2026-11-21T08:00:00.000Z} (line 1,200).',
    ],
  });
  assert.equal(judgeFleet({ seen: { ...seen, gates: [gate('a')] } }).title, 'The one gate is complete');
});

void test('findings: how many, at how many gates, also at one without a row', () => {
  const findings = [
    { kind: 'missing', host: 'a', text: 'gone' },
    { kind: 'unknown-host', host: 'x', text: 'not listed' },
  ];
  const gates = [gate('a', 40), gate('b')];
  const { tone, title } = judgeFleet({ seen: { ...seen, gates, findings, findingCount: 41 } });
  assert.deepEqual([tone, title], ['bad', '41 findings at 2 gates']);
});

void test('no gate yet: nothing is claimed', () => {
  const { tone, title } = judgeFleet({ seen: { ...seen, gates: [], records: 0 } });
  assert.deepEqual([tone, title], ['quiet', 'No gate has sent anything yet']);
});

void test('what is old is no good news', () => {
  const { tone, title, sentences } = judgeFleet({ seen, trouble: 'nobody wrote since {x}' });
  assert.deepEqual([tone, title], ['bad', 'Nobody watches the gates now']);
  assert.deepEqual(sentences, ['Nobody wrote since {x}.', 'Until then: all 3 gates are complete.']);
  assert.deepEqual(judgeFleet({ trouble: 'the file is not there' }), {
    tone: 'bad',
    title: 'Nothing is known of the other gates',
    sentences: ['The file is not there.'],
  });
});

void test('a gate in a word: findings first, and what never came is not called complete', () => {
  const lastSeen = '2026-11-21T09:00:00.000Z';
  assert.equal(gateState({ ...gate('a', 2), lastSeen }).word, '2 findings');
  assert.deepEqual(gateState({ ...gate('a'), lastSeen }), { tone: 'good', word: 'complete' });
  assert.equal(gateState(gate('a')).tone, 'quiet');
  assert.equal(lagOf({ ...gate('a'), seq: 10, signedSeq: 7 }), 3);
  assert.equal(lagOf({ ...gate('a'), seq: 10 }), 10);
  assert.equal(lagOf(gate('a')), undefined);
});
