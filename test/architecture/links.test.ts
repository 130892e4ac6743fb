// Goal: every relative link in the pages that people read leads to a file, and to a heading in it where it names one.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { filesBelow, root, textOf } from './project.js';

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'src/README.md',
  ...filesBelow('changes'),
  ...filesBelow('docs/decisions'),
  ...filesBelow('docs/source'),
  ...filesBelow('src').filter((path) => /^src\/\w+\/README\.md$/.test(path)),
  ...filesBelow('test').filter((path) => path.endsWith('/README.md')),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replaceAll(/^( *)```.*?^\1```$/gms, '');
  return new Set(
    [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function brokenLinks(page: string, text: string): string[] {
  const prose = text.replaceAll(/^( *)```.*?^\1```$/gms, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(
    ([, path = '', anchor]) => {
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return [`${page}: ${path}`];
      if (anchor === undefined || anchorsOf(path === '' ? text : textOf(target)).has(anchor)) return [];
      return [`${page}: ${path}#${anchor}`];
    },
  );
}

void test('every relative link and anchor leads somewhere', () => {
  assert.deepEqual(
    pages.flatMap((page) => brokenLinks(page, textOf(page))),
    [],
  );
});

void test('a link to no file and one to no heading are found', () => {
  const text =
    '# Title\n\n[a](none.md) [b](#title) [c](#other) [d](README.md#title) [e](https://example.com/x.md)\n';
  assert.deepEqual(brokenLinks('README.md', text), [
    'README.md: none.md',
    'README.md: #other',
    'README.md: README.md#title',
  ]);
});

void test('docs/README leads to every page of docs/, src/README to every decision; a decision has ten lines', () => {
  const index = textOf('docs/README.md');
  const docs = pages.filter((each) => /^docs\/[^/]+$/.test(each));
  assert.ok(docs.length <= 38, 'merge pages that one reader reads together');
  for (const page of docs.filter((each) => each !== 'docs/README.md'))
    assert.ok(index.includes(`](${page.slice('docs/'.length)})`), `docs/README has no link to ${page}`);
  assert.ok(filesBelow('docs/decisions').length <= 22, 'a newcomer reads them all');
  for (const page of filesBelow('docs/decisions')) {
    assert.ok(textOf('src/README.md').includes(`](../${page})`), `src/README.md has no link to ${page}`);
    assert.match(textOf(page), /^# .+\n\n- Context: [^]+\n- Decision: /);
    assert.ok(textOf(page).split('\n').length <= 11, page);
  }
});
