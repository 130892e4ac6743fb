// Counts the checks of shapes that are written by hand: a `typeof` of a value whose type is not known (as in `typeof x === 'string'`; not
// a type query), and `isObject`, `isRecord` and `Array.isArray` of one. A union of our own types that is told apart by `typeof`, such as
// "a value, or a text that says why not", is no shape check. Files that are schemas are left out.
//
// `node build/test/architecture/shape-checks.js` prints them by file; with `lines` behind it, one by one.
import assert from 'node:assert/strict';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  isCallExpression,
  isIdentifier,
  isPropertyAccessExpression,
  isTypeOfExpression,
  type Node,
} from 'typescript/unstable/ast';
import { API, type Checker, type Type, TypeFlags } from 'typescript/unstable/sync';
import { root } from './project.js';

/** Schemas of zod, with the predicates that they are made of. */
const schemas = /^src\/domain\/(?:language\/seams\/|config\/(?:(?:[a-z]+-)?schema|schema-parts)\.ts$)/;
const predicates: readonly string[] = ['isObject', 'isRecord', 'isArray'];

/** Each check as `PATH:LINE: TEXT`. */
export function shapeChecks(base = root, projects = ['tsconfig.json', 'tsconfig.web.json']): string[] {
  const api = new API({ cwd: base });
  try {
    const found = projects.flatMap((project) => {
      const [opened] = api.updateSnapshot({ openProject: join(base, project) }).getProjects();
      assert.ok(opened !== undefined);
      const { checker, program } = opened;
      return program.getSourceFileNames().flatMap((name) => {
        const path = relative(base, name);
        const file = path.startsWith('src/') && !schemas.test(path) ? program.getSourceFile(name) : undefined;
        if (file === undefined) return [];
        return checksIn(file, checker).map((node) => {
          const line = file.text.slice(0, node.getStart(file)).split('\n').length;
          return `${path}:${line}: ${node.getText(file).replace(/\s+/g, ' ')}`;
        });
      });
    });
    return [...new Set(found)];
  } finally {
    api.close();
  }
}

/** The most first. */
export function countByFile(checks: readonly string[]): (readonly [path: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const check of checks) {
    const path = check.slice(0, check.indexOf(':'));
    counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  return [...counts].toSorted(([, one], [, other]) => other - one);
}

function checksIn(file: Node, checker: Checker): Node[] {
  const found: Node[] = [];
  const visit = (node: Node): void => {
    const asked = askedBy(node);
    if (asked !== undefined && isUnclear(checker, checker.getTypeAtLocation(asked))) found.push(node);
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

function askedBy(node: Node): Node | undefined {
  if (isTypeOfExpression(node)) return node.expression;
  if (!isCallExpression(node)) return undefined;
  const { expression } = node;
  const name = isPropertyAccessExpression(expression) ? expression.name : expression;
  return isIdentifier(name) && predicates.includes(name.text) ? node.arguments[0] : undefined;
}

/** `unknown` and `any`, and what is left of them behind a question for null, undefined or `object`. */
function isUnclear(checker: Checker, type: Type | undefined): boolean {
  if (type === undefined) return true;
  if (type.isUnionType()) return type.getTypes().some((each) => isUnclear(checker, each));
  if ((type.flags & (TypeFlags.Unknown | TypeFlags.Any | TypeFlags.NonPrimitive)) !== 0) return true;
  return ['{}', 'Readonly<Record<string, unknown>>', 'Record<string, unknown>'].includes(
    checker.typeToString(type),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const checks = shapeChecks();
  if (process.argv[2] === 'lines') for (const check of checks) console.log(check);
  else for (const [path, count] of countByFile(checks)) console.log(String(count).padStart(4), path);
  console.log(String(checks.length).padStart(4), 'shape checks');
}
