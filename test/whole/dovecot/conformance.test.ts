// Goal: what a client gets of an allowed command through dovegate is what Dovecot gives it itself, byte for byte, but for the differences
// that docs/conformance.md explains. `npm run lab -- conformance` does it for every release, and writes that page; here is a part of it:
// the commands that print, in every format of the real program, and a third of those for many users and of failures, by every client.
// What must not happen: a difference without a row; a page with other rows than the code has; a command that nobody runs or leaves out.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { projectRoot } from '../../kit/plain/root.js';
import { allLines, forgotten, leftOut } from './conformance/lines.js';
import { explainedRows } from './conformance/page.js';
import { conform, explain } from './conformance/run.js';
import { labTestMs, releasesAsked } from './real-gateway.js';

void test('every command of the catalog has a line, or a reason', () => {
  assert.deepEqual(forgotten(), []);
  assert.deepEqual(
    allLines.filter(({ name }) => leftOut.has(name)),
    [],
  );
});

void test('docs/conformance.md has the rows of the code (else: npm run lab -- conformance)', () => {
  const page = readFileSync(new URL('docs/conformance.md', projectRoot), 'utf8');
  const [, part = ''] = page.split('## Explained differences');
  const items = [...part.replaceAll(/\n {2,}/g, ' ').matchAll(/^- `([\w-]+)` \(\d+\): (.*)$/gm)];
  assert.deepEqual(
    items.map(([, key, text]) => [key, text]),
    explainedRows(),
  );
});

void test('through dovegate every client gets what Dovecot gives it', { timeout: labTestMs }, async (t) => {
  const short = allLines.filter(({ isShort }) => isShort === true);
  const lines = short.filter(({ isFormatted }, at) => isFormatted === true || at % 3 === 0);
  const tallies = await conform(t, {
    places: releasesAsked().map((release) => ({ release })),
    everywhere: [],
    lines,
  });
  if ('skip' in tallies) return t.skip(tallies.skip);
  for (const tally of tallies) {
    const { version, client, answers, equal } = tally;
    t.diagnostic(`Dovecot ${version}, ${client}: ${answers} answers, ${equal} equal`);
    assert.deepEqual(explain(tally).unexplained, []);
    // Over HTTP most of these lines are errors, which have keys of ours, or for many users, which 2.3 does not get.
    assert.ok(equal > answers / (client === 'HTTP API' ? 10 : 2), 'too few are equal for this to say much');
  }
});
