// Records as OpenTelemetry: every kind of record is valid there and says the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOtlp, otlpFrame } from '../../../src/evidence/formats/otlp.js';
import { otlpFaults } from '../../kit/plain/otlp-shape.js';
import { linesOf } from '../../kit/plain/record-kinds.js';

void test('OpenTelemetry: every record is a valid log record, with its line as the body', () => {
  const [open, close] = otlpFrame('gate1', '0.1.0');
  const lines = linesOf();
  const request = JSON.parse(
    `${open}${lines.map((line) => formatOtlp(Buffer.from(line))).join(',')}${close}`,
  );
  assert.deepEqual(otlpFaults(request), []);
  const bodies = request.resourceLogs[0].scopeLogs[0].logRecords.map(
    ({ body }: { readonly body: { readonly stringValue: string } }) => body.stringValue,
  );
  assert.deepEqual(bodies, lines);
  assert.deepEqual(otlpFaults(JSON.parse(`${open}${formatOtlp(Buffer.from('no record'))}${close}`)), []);
});
