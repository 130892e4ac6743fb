// The proof that the checker catches: forged sources, each with exactly the violations that it must be given.
// Beside every catch stands its twin that must pass.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { check, formatViolation, type Rule } from './checker.js';
import { parts } from './parts.js';
import { root } from './project.js';
import { modules } from './table.js';

const oxlint = join(root, 'node_modules/oxlint/bin/oxlint');

type Files = Readonly<Record<string, string>>;

/** `RULE PATH:LINE` of each violation. Every file gets an opening comment as its line 1. */
function found(files: Files, rules = modules): string[] {
  const sources = new Map(Object.entries(files).map(([path, text]) => [path, `// Owns it.\n${text}\n`]));
  return check(sources, rules).map(({ rule, path, line }) => `${rule} ${path}:${line}`);
}

/** As many small files as it takes for imports to find their targets. */
const neighbours: Files = Object.fromEntries(
  `rules/config/settings gate/session/service gate/outcome/events journal/files/journal host/machine/clock gate/daemon/serve`
    .split(' ')
    .map((name) => [`src/${name}.ts`, 'const own = 1;\nvoid own;']),
);

/** `@/` stands for src/. */
function inFile(path: string, text: string): string[] {
  const up = '../'.repeat(path.split('/').length - 2) || './';
  return found({ ...neighbours, [path]: text.replaceAll('@/', up) });
}

/** Each text, as the second line of that file below src/, has this violation and no other. */
function catches(rule: Rule, file: string, ...texts: readonly string[]): void {
  const path = `src/${file}.ts`;
  for (const text of texts) assert.deepEqual(inFile(path, text), [`${rule} ${path}:2`], `${path}: ${text}`);
}

function passes(file: string, ...texts: readonly string[]): void {
  for (const text of texts) assert.deepEqual(inFile(`src/${file}.ts`, text), [], `${file}: ${text}`);
}

void describe('imports between folders of the gate', () => {
  void test('upward and sideways are caught in every form, downward passes', () => {
    const forms = [
      "import { x } from '@/gate/session/service.js';",
      "import x from '@/gate/session/service.js';",
      "import * as x from '@/gate/session/service.js';",
      "import '@/gate/session/service.js';",
      "import {\n  x,\n  type Y,\n} from '@/gate/session/service.js';",
      "import { type Y } from '@/gate/session/service.js';",
      "import type, { y } from '@/gate/session/service.js';",
      "export { x } from '@/gate/session/service.js';",
      "export * from '@/gate/session/service.js';",
      "export * as x from '@/gate/session/service.js';",
      "const x = await import('@/gate/session/service.js');",
      "const f = () => import(/* late */ '@/gate/session/service.js');",
      "let x: typeof import('@/gate/session/service.js');",
      "new Worker(new URL('@/gate/session/service.js', import.meta.url));",
    ];
    catches('import', 'gate/outcome/x', ...forms);
    catches('import', 'gate/pool/x', ...forms);
    passes('gate/daemon/x', ...forms);
  });

  void test('what lies below the gate passes, values and types', () => {
    passes('gate/outcome/x', "import type { X } from '@/rules/config/settings.js';");
    passes('gate/pool/x', "import { x } from '@/journal/files/journal.js';");
  });

  void test('of a folder with public files, no other is imported from elsewhere', () => {
    const files = { ...neighbours, 'src/gate/session/pending.ts': 'void 0;' };
    const from = (path: string, target: string): string =>
      found({ ...files, [path]: `import '${target}.js';` }).join();
    assert.equal(from('src/gate/daemon/x.ts', '../session/service'), '');
    const outside = from('src/gate/daemon/x.ts', '../session/pending');
    assert.equal(outside, 'import-private src/gate/daemon/x.ts:2');
    assert.equal(from('src/gate/session/x.ts', './pending'), '');
  });

  void test('the program is loaded by its subcommands, and tests by nobody', () => {
    passes('gate/cli/x', "await import('@/gate/daemon/serve.js');");
    catches('import', 'gate/health/x', "import { x } from '@/gate/daemon/serve.js';");
    catches('import-missing', 'gate/daemon/x', "import { x } from '../kit/scripted-dovecot.js';");
  });

  void test('an import that cannot be judged is caught', () => {
    catches(
      'import-unclear',
      'journal/files/x',
      'await import(name);',
      "await import('@/gate/session/' + name);",
      'await import(`@/gate/session/service.js`);',
      "import { x } from '@/gate/session/servi\\x63e.js';",
      "import x = require('@/gate/session/service.js');",
      'import x from "@/gate/session/service.js";',
      "import { x } from /* a */ '@/gate/session/service.js';",
      "/* a */ import { x } from '@/gate/session/service.js';",
      'import "@/gate/session/service.js";',
      'new URL(name, import.meta.url);',
      "createThing(import.meta.url, './x.js');",
      'import.meta.resolve(name);',
      "import.meta.resolve('@/gate/session/servi\\x63e.js');",
      '/// <reference path="@/gate/session/service.ts" />',
    );
  });

  void test('a target that does not exist is caught, a worker file and package.json are found', () => {
    const gone = ['./gone.js', '@/journal/files/journal.ts', '@/journal/files/journal'];
    for (const name of [...gone, '../../test/kit/x.js', '../gone/x.js'])
      catches('import-missing', 'journal/files/x', `import '${name}';`);
    passes('journal/files/x', "new Worker(new URL('./journal.js', import.meta.url));");
    for (const place of ["'../../package.json'", "'./x'"]) {
      const form = `new URL(${place}, import.meta.url);`;
      passes('host/machine/process', form);
      catches('import-unclear', 'host/machine/x', form);
      catches('import-unclear', 'page/x', form);
    }
    catches('import-missing', 'main', "import x from '../package.json' with { type: 'json' };");
  });

  void test('what looks like an import and is none passes', () => {
    passes(
      'doveadm/protocol/x',
      "// import '@/gate/session/service.js';",
      'const a = "import \'@/gate/session/service.js\'";',
      "const d = { import: '@/gate/session/service.js', export: 1 };",
    );
  });
});

void describe('cycles', () => {
  void test('two files, three files, types alone, and a file with itself', () => {
    const imports = (name: string) => `import { x } from './${name}.js';\nvoid x;`;
    const foundIn = (files: Files): string[] => {
      const entries = Object.entries(files).map(([name, text]) => [`src/doveadm/protocol/${name}.ts`, text]);
      return found(Object.fromEntries(entries));
    };
    const cycle = ['import-cycle src/doveadm/protocol/a.ts:1'];
    const ring = { a: imports('b'), b: imports('c'), d: imports('a') };
    assert.deepEqual(foundIn({ ...ring, c: 'void 0;' }), []);
    assert.deepEqual(foundIn({ ...ring, c: imports('a') }), cycle);
    assert.deepEqual(foundIn({ a: imports('a') }), cycle);
    const types = { a: "import type { X } from './b.js';", b: "export type { Y } from './a.js';" };
    assert.deepEqual(foundIn(types), cycle);
  });

  void test('a worker may share types with the file that starts it', () => {
    const files = {
      'src/journal/files/a.ts': "new Worker(new URL('./b.js', import.meta.url));",
      'src/journal/files/b.ts': "import type { X } from './a.js';",
    };
    assert.deepEqual(found(files), []);
  });
});

void describe('Node modules and packages', () => {
  void test('only those of the folder, also as types, also by subpath', () => {
    const forms = ["import { readFile } from 'node:fs/promises';", "import type { Stats } from 'node:fs';"];
    passes('journal/files/x', ...forms);
    catches('import-builtin', 'gate/outcome/x', ...forms);
    catches('import-builtin', 'journal/files/x', "import fs from 'fs';");
    passes('doveadm/protocol/x', "import assert from 'node:assert/strict';");
  });

  void test('only the packages of the folder', () => {
    passes('rules/config/x', "import { parse } from 'yaml';\nimport * as z from 'zod/mini';");
    for (const name of ['yaml', 'zod', 'lru-cache/raw', '@scope/x/y', 'dovegate/client', 'file:///x.js'])
      catches('import-package', 'gate/outcome/x', `import x from '${name}';`);
    passes('host/machine/x', "const koffi = await import('koffi');");
    catches('import-package', 'journal/files/x', "const koffi = await import('koffi');");
  });

  void test('node:process under its own name only', () => {
    passes('gate/daemon/x', "import process from 'node:process';");
    for (const names of ['{ exit }', 'p', '* as process', '{ exit as process }', 'process, { exit }'])
      catches('import-builtin', 'gate/daemon/x', `import ${names} from 'node:process';`);
  });
});

void describe('the machine, the console and ways around the table', () => {
  /** By the module that may use them; nobody: none. */
  const uses: Readonly<Record<string, readonly string[]>> = {
    'host/machine/x': [
      'setTimeout(f, 1);',
      'x = { setTimeout };',
      'let h: ReturnType<typeof setInterval>;',
      'setImmediate(f);',
      'performance.now();',
      "Math['random']();",
      'const { random } = Math;',
      'AbortSignal.timeout(5);',
    ],
    main: ['process.exit(1);', "process['exit'](1);", 'const { exit: leave, env } = process;'],
    nobody: [
      "console.log('x');",
      'f(console);',
      "fetch('x');",
      "process.getBuiltinModule('fs');",
      "process.binding('fs');",
      "(0, eval)('x');",
      'const g = globalThis;',
      'globalThis.setTimeout(f);',
    ],
  };
  const inParts = parts.flatMap(({ name }) => [`${name}/x`, `${name}/inner/x`]);
  const places = ['host/machine/x', 'main', 'program', ...inParts];
  const forms = Object.values(uses).flat();
  const passing = [
    'clock.setTimeout(f, 1);',
    'const c = { setTimeout: g, fetch: h };',
    'process.exitCode = 1;',
    'AbortSignal.any([]);',
    'Math.max(1, 2);',
  ];

  void test('the linter reports each where it is not allowed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dovegate-lint-'));
    try {
      copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
      for (const file of places) {
        const path = join(folder, 'src', `${file}.ts`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, [...forms, ...passing].join('\n'));
      }
      const options = ['-A', 'all', '-D', 'no-restricted-globals', '-D', 'no-restricted-properties'];
      const arguments_ = [oxlint, '-f', 'unix', ...options];
      const { stdout } = spawnSync(process.execPath, arguments_, { cwd: folder, encoding: 'utf8' });
      const reported = new Set(stdout.match(/^src\/[^:]+:\d+/gm));
      for (const file of places) {
        const expected = forms.filter((form) => uses[file]?.includes(form) !== true);
        const caught = forms.concat(passing).filter((_, at) => reported.has(`src/${file}.ts:${at + 1}`));
        assert.deepEqual(caught, expected, file);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  void test('the clock is read by host/machine alone; an instant that is given passes everywhere', () => {
    const readings = [
      'new Date();',
      'new Date;',
      'Date();',
      'new Date(...[]);',
      'Date.now();',
      "Date['now']();",
      'const { now } = Date;',
      'f(Date);',
      '`${new Date()}`;',
    ];
    catches('clock', 'gate/outcome/x', ...readings);
    passes('host/machine/x', ...readings);
    passes('gate/outcome/x', 'new Date(ms).toISOString();\nDate.parse(text) + Date.UTC(2026, 0, 1);');
  });
});

void describe('limits and names', () => {
  const alone = (path: string): string[] => found({ [path]: 'void 0;' });

  void test('two levels, known folders, TypeScript only', () => {
    const cases: readonly [rule: Rule, ...paths: string[]][] = [
      ['too-deep', 'rules/policy/deep/deeper/x.ts'],
      ['unknown-module', 'gate/deep/x.ts', 'wires/x.ts', 'constructor/x.ts', 'main/x.ts'],
      ['stray-file', 'x.ts', 'host/net/x.js', 'host/net/x.d.ts', 'host/net/x.json', 'wire.ts'],
    ];
    for (const [rule, ...paths] of cases)
      for (const path of paths) assert.deepEqual(alone(`src/${path}`), [`${rule} src/${path}:1`]);
  });

  void test('file names say what is owned', () => {
    const banned = 'utils helpers common misc shared base types manager index pool-manager'.split(' ');
    const of = (name: string): string => alone(`src/doveadm/protocol/${name}.ts`).join();
    for (const name of [...banned, 'lineSplitter', 'Line', 'line_splitter', 'line--x'])
      assert.equal(of(name), `file-name src/doveadm/protocol/${name}.ts:1`);
    for (const name of ['base64', 'common-name']) assert.equal(of(name), '');
  });
});

void describe('comments', () => {
  const judge = (text: string) => check(new Map([['src/doveadm/protocol/x.ts', text]])).map(formatViolation);

  void test('a file opens with what it owns', () => {
    const missing = ['src/doveadm/protocol/x.ts:1: opening-comment: a file opens with what it owns'];
    assert.deepEqual(judge('// Owns x.\nconst x = 1;\n'), []);
    assert.deepEqual(judge('#!/usr/bin/env node\n/* Owns x. */\nconst x = 1;\n'), []);
    assert.deepEqual(judge('const x = 1; // no\n'), missing);
    assert.deepEqual(judge('const x = 1;\n// no\n'), missing);
    assert.deepEqual(judge('/** That is about y. */\nexport const y = 1;\n'), missing);
    assert.deepEqual(judge(''), missing);
  });
});
