// The examples of docs/siem.md are what the program makes.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatOtlp, otlpFrame } from '../../../src/evidence/formats/otlp.js';
import { formatJsonRow } from '../../../src/evidence/trail/export.js';
import { createSearch } from '../../../src/evidence/trail/search.js';
import { pageLines } from '../../kit/plain/record-kinds.js';
import { projectRoot } from '../../kit/plain/root.js';

const page = readFileSync(new URL('docs/siem.md', projectRoot), 'utf8');

function example(name: string): unknown {
  const [, text] = new RegExp(`\`\`\`json ${name}\\n([^]*?)\`\`\``).exec(page) ?? [];
  assert.ok(text !== undefined, name);
  return JSON.parse(text);
}

void test('docs/siem.md shows a record and OTLP as they are made', () => {
  const lines = pageLines();
  const [line = '', end = ''] = lines;
  assert.deepEqual(example('record'), JSON.parse(line));
  const [open, close] = otlpFrame('gate1', '0.1.0');
  const request = `${open}${formatOtlp(Buffer.from(end))}${close}`;
  const shown = JSON.stringify(example('otlp')).replace('"{\\"seq\\":2, ... }"', () => JSON.stringify(end));
  assert.deepEqual(JSON.parse(shown), JSON.parse(request));
});

void test('examples/ecs.mjs makes events of ECS of the lines of an export', () => {
  const file = fileURLToPath(new URL('examples/ecs.mjs', projectRoot));
  const [row] = createSearch({}).take(
    Buffer.from(
      pageLines()
        .map((each) => `${each}\n`)
        .join(''),
    ),
  );
  assert.ok(row !== undefined);
  const made = spawnSync(process.execPath, [file], { input: `${formatJsonRow(row)}\n`, encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const { event, user, rule, dovegate, ...top } = JSON.parse(made.stdout);
  assert.deepEqual(top, { '@timestamp': '2026-11-20T08:22:34.123Z', ecs: { version: '9.4.0' } });
  assert.deepEqual(
    [event.type, event.action, event.outcome, event.duration],
    [['deletion', 'allowed'], 'mailbox delete', 'success', 2_250_000],
  );
  assert.deepEqual(user, { name: 'bob', target: { name: 'anna@example.org' } });
  assert.deepEqual(rule, { name: 'policy.yaml:8', ruleset: 'support' });
  assert.deepEqual([dovegate.reason, dovegate.backend], ['ticket 4711', 'mail1']);
});
