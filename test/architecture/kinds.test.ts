// `value.kind === 'tcp'` takes every other kind for the rest, also one that is added later; where two modules are concerned,
// nobody who adds one sees it. So a union of three kinds or more that another module exports is told apart by a switch, which
// must name every kind, or asked by the predicate beside it (src/host/kinds/kinds.ts). The type of the compared value counts, not its
// name; a word that was taken out of the value (`const { kind } = value`) is not seen.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import {
  type BinaryExpression,
  isBinaryExpression,
  isPropertyAccessExpression,
  isTypeAliasDeclaration,
  type Node,
  SyntaxKind,
} from 'typescript/unstable/ast';
import { API, type Checker, type Type } from 'typescript/unstable/sync';
import { root } from './project.js';

const kindsMin = 3;

/** Where a source compares the kind of a union of another module: `PATH:LINE: TEXT`, sorted. */
function comparedKinds(base: string, project: string): string[] {
  const api = new API({ cwd: base });
  try {
    const [opened] = api.updateSnapshot({ openProject: join(base, project) }).getProjects();
    assert.ok(opened !== undefined);
    const { checker, program } = opened;
    const files = program
      .getSourceFileNames()
      .filter((name) => relative(base, name).startsWith('src/'))
      .flatMap((name) => program.getSourceFile(name) ?? []);
    const owners = new Map<number, string>();
    for (const { fileName, statements } of files)
      for (const statement of statements)
        if (isTypeAliasDeclaration(statement) && isExported(statement))
          for (const { id } of membersOf(checker, checker.getTypeAtLocation(statement.name), kindsMin))
            owners.set(id, dirname(fileName));
    return files
      .flatMap((file) =>
        comparisonsIn(file).flatMap(({ node, value }) => {
          const members = membersOf(checker, checker.getTypeAtLocation(value), 2);
          const homes = members.map(({ id }) => owners.get(id));
          const isForeign = homes.some((home) => home !== undefined);
          if (!isForeign || homes.includes(dirname(file.fileName))) return [];
          const line = file.text.slice(0, node.getStart(file)).split('\n').length;
          return `${relative(base, file.fileName)}:${line}: ${node.getText(file)}`;
        }),
      )
      .toSorted();
  } finally {
    api.close();
  }
}

const isExported = ({ modifiers }: { readonly modifiers?: readonly Node[] | undefined }): boolean =>
  modifiers?.some(({ kind }) => kind === SyntaxKind.ExportKeyword) === true;

/** The members of a union that have a kind; none if they are fewer. */
function membersOf(checker: Checker, type: Type | undefined, countMin: number): readonly Type[] {
  const members = type?.isUnionType() === true ? type.getTypes() : [];
  const found = members.filter((member) => checker.getPropertyOfType(member, 'kind') !== undefined);
  return found.length < countMin ? [] : found;
}

/** `value.kind === ...` and `value.kind !== ...`, outside of what a switch does. */
function comparisonsIn(file: Node) {
  const found: { readonly node: BinaryExpression; readonly value: Node }[] = [];
  const signs = [SyntaxKind.EqualsEqualsEqualsToken, SyntaxKind.ExclamationEqualsEqualsToken];
  const visit = (node: Node): void => {
    if (isBinaryExpression(node) && signs.includes(node.operatorToken.kind))
      for (const side of [node.left, node.right])
        if (isPropertyAccessExpression(side) && side.name.text === 'kind')
          found.push({ node, value: side.expression });
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

void test('no source compares the kind of a union of another module', () => {
  // Without the tests.
  const sources = { extends: '../tsconfig.json', include: ['../src'], exclude: ['../src/page/web'] };
  writeFileSync(join(root, 'build/tsconfig.json'), JSON.stringify(sources));
  for (const project of ['build/tsconfig.json', 'tsconfig.web.json'])
    assert.deepEqual(comparedKinds(root, project), []);
});

void test('a comparison is found in each form; a switch, a predicate, an own union and one of two kinds pass', () => {
  const base = mkdtempSync(join(tmpdir(), 'dovegate-kinds-'));
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
  };
  try {
    const compilerOptions = { strict: true, module: 'nodenext' };
    put('tsconfig.json', JSON.stringify({ compilerOptions, include: ['src'] }));
    put(
      'src/net/target.ts',
      `export type Target = { kind: 'tcp'; port: number } | { kind: 'unix' } | { kind: 'systemd' };
export type Way = { kind: 'in' } | { kind: 'out' };
export const isTarget = (value: Target | undefined, kind: Target['kind']): boolean => value?.kind === kind;
`,
    );
    put(
      'src/cli/use.ts',
      `import { isTarget, type Target, type Way } from '../net/target.js';
export const one = (target: Target): boolean => target.kind === 'tcp';
export const other = (target: Target | undefined): boolean => target?.kind !== 'tcp';
export const inside = ({ target }: { target: Target }) => (target.kind === 'tcp' ? target.port : 0);
export const rest = (target: Exclude<Target, { kind: 'tcp' }>): boolean => 'unix' === target.kind;
export const asked = (target: Target): boolean => isTarget(target, 'tcp');
export const two = (way: Way): boolean => way.kind === 'in';
export function all(target: Target): number {
  switch (target.kind) {
    case 'tcp':
      return target.port;
    default:
      return 0;
  }
}
`,
    );
    assert.deepEqual(comparedKinds(base, 'tsconfig.json'), [
      "src/cli/use.ts:2: target.kind === 'tcp'",
      "src/cli/use.ts:3: target?.kind !== 'tcp'",
      "src/cli/use.ts:4: target.kind === 'tcp'",
      "src/cli/use.ts:5: 'unix' === target.kind",
    ]);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
