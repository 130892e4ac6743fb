// What a campaign promises: it finds what is planted, tells it with a small input that repeats it, and goes on with the next target.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Finding, repeat, runCampaign } from './campaign/campaign.js';
import { targets } from './planted.js';

const url = new URL('./planted.js', import.meta.url).href;

void test('planted faults are found, and a sound decoder has none', async () => {
  const done: string[] = [];
  const findings = await runCampaign({
    targets: url,
    orders: targets.map(({ name }) => ({
      name,
      seed: 1,
      inputsMax: 4_000,
      // Over after the first one that does not end.
      msMax: name === 'loops' ? 1_000 : 20_000,
      corpus: [],
    })),
    grows: true,
    onDone: (name) => done.push(name),
  });
  const kindsOf = (name: string): string[] =>
    findings.filter((found) => found.name === name).map(({ broken }) => broken.kind);
  assert.deepEqual(kindsOf('sound'), []);
  assert.deepEqual(kindsOf('throws'), ['throw']);
  assert.deepEqual(kindsOf('depends on cuts'), ['cut']);
  assert.deepEqual(kindsOf('holds too much'), ['throw']);
  assert.ok(kindsOf('loops').every((kind) => kind === 'loop') && kindsOf('loops').length > 0);
  const finding = (name: string): Finding => {
    const found = findings.find((one) => one.name === name);
    assert.ok(found);
    return found;
  };
  assert.equal(finding('throws').bytes.toString(), '{{');
  assert.equal((await repeat(url, 'throws', finding('throws')))?.kind, 'throw');
  assert.equal((await repeat(url, 'depends on cuts', finding('depends on cuts')))?.kind, 'cut');
  assert.equal((await repeat(url, 'loops', finding('loops')))?.kind, 'loop');
  assert.equal(await repeat(url, 'sound', finding('throws')), undefined);
  assert.ok(['sound', 'throws', 'depends on cuts', 'holds too much'].every((name) => done.includes(name)));
});
