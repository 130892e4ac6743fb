// The examples of docs/siem.md are what the program makes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createEcs } from '../../../../src/domain/records/formats/ecs.js';
import { createOcsf, ocsfVersion } from '../../../../src/domain/records/formats/ocsf.js';
import { formatOtlp, otlpFrame } from '../../../../src/domain/records/formats/otlp.js';
import { createSearch } from '../../../../src/domain/records/trail/search.js';
import { pageLines } from '../../../kit/record-kinds.js';

const page = readFileSync(new URL('../../../../../docs/siem.md', import.meta.url), 'utf8');

function example(name: string): unknown {
  const [, text] = new RegExp(`\`\`\`json ${name}\\n([^]*?)\`\`\``).exec(page) ?? [];
  assert.ok(text !== undefined, name);
  return JSON.parse(text);
}

void test('docs/siem.md shows a record, OCSF, ECS and OTLP as they are made', () => {
  const lines = pageLines();
  const [line = '', end = ''] = lines;
  const [row] = createSearch({}).take(Buffer.from(lines.map((each) => `${each}\n`).join('')));
  assert.ok(row !== undefined);
  assert.deepEqual(example('record'), JSON.parse(line));
  assert.deepEqual(example('ocsf'), JSON.parse(createOcsf()(row)));
  assert.deepEqual(example('ecs'), JSON.parse(createEcs()(row)));
  const [open, close] = otlpFrame('gate1', '0.1.0');
  const request = `${open}${formatOtlp(Buffer.from(end))}${close}`;
  const shown = JSON.stringify(example('otlp')).replace('"{\\"seq\\":2, ... }"', () => JSON.stringify(end));
  assert.deepEqual(JSON.parse(shown), JSON.parse(request));
  assert.ok(page.includes(`Version ${ocsfVersion}, `));
});
