// Goal: a page of HTML in which nothing that a record says is anything but text, and which says who made it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Completeness } from '../../../src/evidence/report/completeness.js';
import { createHtmlReport } from '../../../src/evidence/report/html.js';
import type { ReportHead } from '../../../src/evidence/report/lines.js';
import { createTouchCounter, type Touch } from '../../../src/evidence/report/touch.js';
import { plainHead, plainTouch } from '../../kit/gate/touch.js';

const head: ReportHead = {
  ...plainHead,
  mailbox: '<script>&"\'',
  answer: 'No command.',
  sentences: ['NOT proved complete', '<b>'],
  host: '<mx1>',
  journal: 'J',
};
const completeness: Completeness = {
  isComplete: false,
  from: '',
  to: '',
  signedTo: undefined,
  signedBy: undefined,
  whose: '',
  doubts: [],
};
const counts = createTouchCounter().counts();

void test('texts are escaped, and the maker is named where there is one', () => {
  const text = (madeBy?: string): string =>
    createHtmlReport()
      .begin({ ...head, madeBy }, completeness, counts)
      .join('\n');
  assert.match(text(), /<h1>Who touched &lt;script&gt;&amp;&quot;&#39;, 2026-11-01 to 2026-11-30<\/h1>/);
  assert.match(text(), /<li>&lt;b&gt;<\/li>/);
  assert.match(text(), /<p>Made by dovegate at 2026-12-01T00:00:00\.000Z\. Days/);
  assert.match(text(), /<p class="answer quiet">No command\.<\/p>\n<p class="verdict doubtful">NOT proved/);
  assert.match(text(), /<dt>Made on host<\/dt><dd>&lt;mx1&gt;<\/dd>\n<dt>Journal<\/dt><dd>J<\/dd>/);
  assert.match(text('eve on <mx1>'), /at 2026-12-01T00:00:00\.000Z, for eve on &lt;mx1&gt;\. Days/);
});

void test('the head names who signed, and of a fleet each signer', () => {
  const begin = (more: Partial<Completeness>): string =>
    createHtmlReport()
      .begin(head, { ...completeness, ...more }, counts)
      .join('\n');
  const signed = { signedBy: 'KEY=', whose: "this host's own key", signedTo: '2026-11-30T10:00:00.000Z' };
  assert.match(
    begin(signed),
    /<dt>Signer<\/dt><dd>KEY= \(this host&#39;s own key\), up to 2026-11-30T10:00:00\.000Z<\/dd>/,
  );
  assert.match(begin({}), /<dt>Signer<\/dt><dd>none that was checked<\/dd>/);
  const one = { host: 'mx<1>', isComplete: true, to: '', seq: 1, signedSeq: 1, signedBy: 'K1', doubts: [] };
  const fleet = begin({ hosts: [one, { ...one, host: 'mx2', signedBy: undefined }] });
  assert.match(fleet, /<dt>Hosts<\/dt><dd>mx&lt;1&gt;, mx2<\/dd>/);
  assert.match(fleet, /<dt>Signer of mx&lt;1&gt;<\/dt><dd>K1<\/dd>\n<dt>Signer of mx2<\/dt><dd>none<\/dd>/);
});

void test('a row bears the color of its class, and its labels for a narrow screen', () => {
  const form = createHtmlReport();
  const touch: Touch = {
    ...plainTouch,
    requester: 'somebody-long@support',
    class: 'denied',
    kind: 'destroyed',
    command: 'expunge',
    user: 'alice@example.com',
    reached: 'no',
    outcome: 'denied',
    backend: '',
  };
  const rows = [...form.take(touch), ...form.take({ ...touch, class: 'destroyed' }), ...form.finish()].join(
    '\n',
  );
  assert.match(rows, /<td data-name="Requester">somebody-long@<wbr>support<\/td>/);
  assert.match(rows, /<td class="what" data-name="What"><span class="bad">may have deleted<\/span><\/td>/);
  assert.match(rows, /<span class="quiet">tried, denied<\/span>.*<td data-name="Note">asked to delete<\/td>/);
});
