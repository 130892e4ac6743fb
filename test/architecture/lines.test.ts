// Goal: no line that people write has more than 140 characters: pages, YAML, JSON and comments. Exempt: what the program printed, and code,
// whose layout is the formatter's.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { filesBelow, root, textOf } from './project.js';

const most = 140;

/** Made by programs: tables of a run, schema, board, bytes. */
const made =
  /^docs\/conformance\.md$|^config\/(?:dovegate\.schema|grafana-dashboard)\.json$|^package-lock\.json$|^test\/vectors\/.*\.json$|^test\/fuzz\/corpus\//;

/** Lines of a file that people write. */
function written(path: string): string[] {
  const lines = textOf(path).split('\n');
  if (/\.ya?ml$|\.(?:service|socket|conf|timer)$/.test(path) || /^[^/]+\.json$/.test(path)) return lines;
  if (/\.(?:ts|tsx|mjs|css|c)$/.test(path)) return lines.filter((line) => /^\s*(?:\/\/|\/?\*)/.test(line));
  if (/\.(?:sh|py)$|Dockerfile$|\/(?:postinst|prerm|postrm)$/.test(path))
    return lines.filter((line) => /^\s*#/.test(line));
  if (!path.endsWith('.md')) return [];
  let isFence = false;
  return lines.filter((line) => {
    const isEdge = /^\s*```/.test(line);
    if (isEdge) isFence = !isFence;
    return !isFence && !isEdge && !line.startsWith('<!-- ');
  });
}

void test(`no written line has more than ${most} characters`, () => {
  const tops = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isFile());
  const folders = 'changes config docs examples packages scripts src systemd test'.split(' ');
  const paths = [...tops.map(({ name }) => name), ...folders.flatMap((folder) => filesBelow(folder))];
  const lines = paths
    .filter((path) => !made.test(path))
    .flatMap((path) => written(path).map((line) => [path, line] as const));
  assert.deepEqual(
    lines.filter(([, line]) => line.length > most),
    [],
  );
});

void test('a long line is found', () => {
  assert.ok(written('test/architecture/lines.test.ts').length >= 4);
  assert.ok(written('README.md').length > 70);
});
