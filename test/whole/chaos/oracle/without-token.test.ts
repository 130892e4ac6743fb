// A text that was cut on its way names no command: the line before it belongs to one that the gate says it sent, if there is one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { examine } from './main.js';
import {
  arrivalOf,
  clientOf,
  createEvidence,
  type Evidence,
  recordOf,
  tokenOf,
  writeEvidence,
} from './synthetic.js';

/** The evidence with a second `save` of the same user, 20 s before command 6, that the gate did not send. */
function withUnsent(): Evidence {
  const evidence = createEvidence();
  const input = { bytes: 3, sha: 'other', text: `Subject: ${tokenOf(11)}` };
  const shifted = (fields: Readonly<Record<string, unknown>>) => ({
    ...fields,
    time: new Date(Date.parse(String(fields['time'])) - 2_000).toISOString(),
    session: 'other',
    id: 'other',
  });
  const { begun, ended } = clientOf(evidence, 6);
  evidence.clients.unshift({
    ...clientOf(evidence, 6),
    client: 11,
    token: tokenOf(11),
    input,
    begun: Number(begun) - 2_000,
    ended: Number(ended) - 2_000,
    status: '-TEMPFAIL',
    logs: ['dovegate: the audit record could not be written [audit-failed], id other'],
  });
  const { upstream: _, ...completion } = recordOf(evidence, 'completion', 6);
  evidence.records.splice(
    2,
    0,
    shifted({ ...recordOf(evidence, 'admission', 6), reason: `because ${tokenOf(11)}` }),
    shifted({
      ...completion,
      sent: false,
      outcome: 'failed',
      status: '-TEMPFAIL',
      error: 'audit-failed',
      bytes_out: 11,
    }),
  );
  // The text of command 6 did not arrive.
  Object.assign(arrivalOf(evidence, 6), { input: { cut: true }, passed: false, reply: undefined });
  return evidence;
}

void test('a line whose text is lost is not given to a command that was never sent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  try {
    writeEvidence(folder, withUnsent());
    const { report } = await examine(folder);
    const lines = report.lines();
    assert.ok(!lines.some((line) => line.includes('sent: false')), lines.join('\n'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
