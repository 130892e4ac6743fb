// Goal: an npm command that a text of the project names is there.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import * as z from 'zod';
import { filesBelow, root, textOf } from './project.js';

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(textOf('package.json')));
const labs = [...textOf('scripts/lab.mjs').matchAll(/^ {2}'?([a-z-]+)'?: '/gm)].map(([, name = '']) => name);

void test('each npm command that a text names is in package.json, and each lab has its script', () => {
  assert.ok(Object.keys(scripts).length <= 13 && labs.length > 8);
  for (const name of labs) assert.ok(existsSync(join(root, 'scripts', `${name}.mjs`)), name);
  const tops = readdirSync(root, { withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [entry.name] : [],
  );
  const texts = [
    ...tops,
    ...['.ci', 'config', 'docs', 'examples', 'packages', 'scripts', 'src', 'systemd', 'test'].flatMap(
      filesBelow,
    ),
  ];
  const wrong = texts
    .filter(
      (path) =>
        /\.(?:md|ts|tsx|mjs|json|ya?ml|sh)$|^\.ci\/|Dockerfile$/.test(path) && path !== 'package-lock.json',
    )
    .flatMap((path) =>
      [...textOf(path).matchAll(/\bnpm run (?:-s )?([a-z][\w:]*)(?: -- ([\w-]+))?/g)]
        .filter(
          ([, name = '', lab = '']) =>
            !Object.hasOwn(scripts, name) || (name === 'lab' && lab !== 'NAME' && !labs.includes(lab)),
        )
        .map(([text]) => `${path}: ${text}`),
    );
  assert.deepEqual(wrong, []);
});

void test('what npm test leaves to npm run test:full is there, and is a small part', async () => {
  const stages = z.object({ onlyFull: z.array(z.string()) });
  const { onlyFull } = stages.parse(await import(pathToFileURL(join(root, 'scripts/stages.mjs')).href));
  const tests = filesBelow('test').filter((path) => path.endsWith('.test.ts'));
  const leftBy = (entry: string): readonly string[] =>
    tests.filter((path) => path.startsWith(entry.endsWith('/') ? `test/${entry}` : `test/${entry}.test.ts`));
  assert.deepEqual(
    onlyFull.filter((entry) => leftBy(entry).length === 0),
    [],
  );
  const left = onlyFull.flatMap(leftBy);
  assert.equal(new Set(left).size, left.length, 'an entry is within another one');
  assert.ok(left.length < tests.length / 6, `${left.length} of ${tests.length}`);
});
