// Goal: the pages of docs/ that need a daemon show what it and its clients print, in front of scripted Dovecots. The others, and what
// a page must look like, are in test/cli/readme.test.ts.
import { test } from 'node:test';
import { needsDaemon, pages, runPage } from '../cli/docs-page.js';

for (const path of pages.filter((each) => each !== 'README.md' && needsDaemon(each))) {
  test(`${path}: commands print what it shows`, { timeout: 300_000 }, (t) => runPage(t, path));
}
