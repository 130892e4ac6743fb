// What is asserted after each run of a story in which a port call failed.
import assert from 'node:assert/strict';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { poolSizes } from '../../kit/gate/memory-backend.js';
import type { MemoryClient, MemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

type Ids = ReadonlyMap<string, readonly AuditRecord[]>;

function byExchange(records: MemoryEngine['offered'], event: AuditRecord['event']): Ids {
  const ids = new Map<string, AuditRecord[]>();
  for (const record of records) {
    if (record.event === event) ids.set(record.id ?? '', [...(ids.get(record.id ?? '') ?? []), record]);
  }
  return ids;
}

/**
 * What must hold after every run, whatever failed in it: nothing leased, held, timed or open; each admission one completion; each command
 * at the backend an admission that was on disk before. Lines of a text count as none: as we send them they cannot be commands.
 */
export async function assertTidy(engine: MemoryEngine, clients: readonly MemoryClient[]): Promise<void> {
  await engine.untilIdle();
  for (const { transport } of clients)
    assert.notEqual(transport.closedFor, undefined, 'a client is left open');
  engine.pool.drain();
  await settle();
  assert.deepEqual(poolSizes(engine.pool), [0, 0, 0, 0]);
  assert.equal(engine.dialler.open.length, 0, 'an upstream is left open');
  assert.equal(engine.clock.timers, 0, 'a timer is left');
  assert.equal(engine.context.exchanges().buffered.bytes, 0, 'input is held');
  // A record that was refused may still be written by a journal that heals: so it must have its other half as well.
  const admissions = byExchange(engine.offered, 'admission');
  const completions = byExchange(engine.offered, 'completion');
  for (const [id, ended] of completions) {
    assert.equal(ended.length, 1, `exchange ${id} ended twice`);
    assert.ok(admissions.has(id), `exchange ${id} ended without an admission`);
  }
  for (const [id, admitted] of admissions) {
    assert.equal(admitted.length, 1, `exchange ${id} was admitted twice`);
    assert.ok(completions.has(id), `exchange ${id} never ended`);
  }
  // Every command that the backend got has an allowed admission that was safe before, on disk for what is no read; only what reads
  // may come twice.
  const admitted = engine.records.filter(({ record }) => record.event === 'admission');
  const came = new Map<string, number>();
  for (const command of engine.commands) {
    if (/^(?:[.\r]|$)/.test(command.line)) continue;
    const [, , name = ''] = command.line.split('\t');
    const times = (came.get(name) ?? 0) + 1;
    came.set(name, times);
    const allowed = admitted
      .slice(0, command.admissions)
      .filter(({ record }) => record.command === name && record.decision === 'allow')
      .filter(({ record, durable }) => durable || record.effect === 'read');
    const most = allowed.reduce((sum, { record }) => sum + (record.effect === 'read' ? 2 : 1), 0);
    assert.ok(times <= most, `${name} came ${times} times for ${allowed.length} admissions`);
  }
  // What was told as done was done, and what was not sent is not told to be unknown.
  for (const { outcome, sent } of [...completions.values()].flat()) {
    if (outcome === 'ok' || outcome === 'unknown') assert.equal(sent, true);
    if (outcome === 'denied' || outcome === 'unparsable') assert.equal(sent, false);
  }
}
