// Goal: what is started often loads little: the library, the list of subcommands, and questions to a daemon. What must not happen: a
// library for shapes, or the parser of configurations, that an import brings along, in each call of a script.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { root } from './project.js';

/** Files that a file of src/ imports, those that it loads only when it needs them too or not, and packages. */
function loadedFiles(from: string, isLater: boolean): { files: string[]; packages: string[] } {
  const seen = new Set<string>();
  const foreign = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(path, 'utf8');
    const imports = [
      ...text.matchAll(/^(?:import|export) (?:\{[^}]*\}|\* as \w+|\w+(?:, \{[^}]*\})?) from "([^"]+)"/gm),
      ...text.matchAll(/^import "([^"]+)"/gm),
      ...(isLater ? text.matchAll(/\bimport\("([^"]+)"\)/gm) : []),
    ];
    for (const [, name = ''] of imports) {
      if (name.startsWith('.')) visit(join(dirname(path), name));
      else if (!name.startsWith('node:')) foreign.add(name);
    }
  };
  const sources = join(root, 'build/src');
  visit(join(sources, from));
  assert.ok(seen.size > 1, 'imports are read as the build writes them');
  return { files: [...seen].map((path) => relative(sources, path)), packages: [...foreign] };
}

void test('the library loads its own few files and nothing else; the names of commands only for a text over TCP alone', () => {
  const doveadm = ['codes', 'handshake', 'protocol', 'reply', 'verbs'].map((name) => `doveadm/${name}`);
  const host = ['bounds', 'kinds', 'machine', 'net', 'ports', 'values', 'words'].map(
    (name) => `host/${name}`,
  );
  const first = ['client', ...doveadm, ...host];
  for (const [isLater, wanted] of [
    [false, first],
    // Commands as data, the cells of their rows, and what both need of names.
    [true, [...first, 'doveadm/commands', 'doveadm/meaning', 'doveadm/names'].toSorted()],
  ] as const) {
    const { files, packages } = loadedFiles('client/connect.js', isLater);
    assert.deepEqual(packages, []);
    assert.deepEqual([...new Set(files.map((path) => dirname(path)))].toSorted(), wanted);
    const others = files
      .filter((path) => /^(?:host\/(?:machine|values|words)|rules)\//.test(path))
      .toSorted();
    assert.deepEqual(others, [
      'host/machine/clock.js',
      'host/machine/system-trust.js',
      'host/values/digest.js',
      ...(isLater ? ['host/values/values.js'] : []),
      'host/words/text.js',
    ]);
  }
});

void test('what every subcommand loads needs no package but the one for options, and neither settings nor network', () => {
  const { files, packages } = loadedFiles('program.js', false);
  assert.deepEqual(packages, ['commander']);
  const ofGate = 'admin|command|daemon|login|lookup|pool|relay|session|telemetry';
  const heavy = new RegExp(`^(?:host/(?:net|http)|rules/config|journal/files|gate/(?:${ofGate}))/`);
  assert.deepEqual(
    files.filter((path) => heavy.test(path)),
    [],
  );
});

void test('a question to a daemon by its socket needs no parser of configurations', () => {
  const subcommands = 'gate/cli/status gate/cli/operate gate/cli/kill rules/cli/can rules/cli/explain';
  for (const name of subcommands.split(' ')) {
    const { packages } = loadedFiles(`${name}.js`, false);
    assert.ok(!packages.includes('zod') && !packages.includes('yaml'), name);
  }
});
