// Goal: the pages of docs/ that need a daemon show what it and its clients print, in front of scripted Dovecots. The others, and what
// a page must look like, are in test/whole/cli/readme.test.ts.
import { describe, test } from 'node:test';
import { needsDaemon, pages, runPage } from '../cli/docs-page.js';

/** Each has its own daemon; what they wait for they wait for together. */
describe('pages of docs/', { concurrency: 3 }, () => {
  for (const path of pages.filter((each) => each !== 'README.md' && needsDaemon(each))) {
    void test(`${path}: commands print what it shows`, { timeout: 300_000 }, (t) => runPage(t, path));
  }
});
