// Goal: a page of HTML in which nothing that a record says is anything but text, and which says who made it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHtmlReport, type ReportHead } from '../../../src/domain/report/report.js';

const head: ReportHead = {
  mailbox: '<script>&"\'',
  period: '2026-11-01 to 2026-11-30',
  isComplete: false,
  sentences: ['NOT proved complete', '<b>'],
  isContentOnly: false,
  madeAt: '2026-12-01T00:00:00.000Z',
};
const completeness = {
  isComplete: false,
  from: '',
  to: '',
  signedTo: undefined,
  signedBy: undefined,
  whose: '',
  doubts: [],
};
const counts = {
  commands: 0,
  people: 0,
  isMorePeople: false,
  showed: 0,
  maybeShowed: 0,
  notNamed: 0,
  open: 0,
  unknown: 0,
  stopped: 0,
};

void test('texts are escaped, and the maker is named where there is one', () => {
  const text = (madeBy?: string): string =>
    createHtmlReport()
      .begin({ ...head, madeBy }, completeness, counts)
      .join('\n');
  assert.match(text(), /<h1>Who touched &lt;script&gt;&amp;&quot;&#39;, 2026-11-01 to 2026-11-30<\/h1>/);
  assert.match(text(), /<li>&lt;b&gt;<\/li>/);
  assert.match(text(), /<p>Made by dovegate at 2026-12-01T00:00:00\.000Z\. Days/);
  assert.match(text('eve on <mx1>'), /at 2026-12-01T00:00:00\.000Z, for eve on &lt;mx1&gt;\. Days/);
});
