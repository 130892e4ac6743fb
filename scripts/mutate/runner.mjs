// `node:test` for the test files of a mutation run: it collects tests at import, and the worker runs those that it wants, one after the
// other, as often as it wants, in one process. Only what the project's tests use is there: test, describe, before, after, and of the
// context after, test, skip, diagnostic, signal and name.
import { AssertionError } from 'node:assert';

let collected = { tests: [], before: [], after: [] };
let prefix = '';

export function test(name, options, body) {
  const run = body ?? options;
  if (typeof options === 'object' && options.skip) return Promise.resolve();
  collected.tests.push({ name: prefix + name, run });
  return Promise.resolve();
}
export const it = test;

export function describe(name, options, body) {
  const outer = prefix;
  prefix = `${prefix}${name} > `;
  (body ?? options)();
  prefix = outer;
  return Promise.resolve();
}
export const before = (hook) => collected.before.push(hook);
export const after = (hook) => collected.after.push(hook);
export default test;

/** Imports a test file again, and returns its tests, with names that are unique, and its hooks. */
export async function collect(url) {
  collected = { tests: [], before: [], after: [] };
  prefix = '';
  await import(url);
  const counts = new Map();
  for (const one of collected.tests) {
    const count = (counts.get(one.name) ?? 0) + 1;
    counts.set(one.name, count);
    one.key = `${one.name}#${count}`;
  }
  return collected;
}

class Skipped extends Error {}

/** Runs a test body with its hooks; rejects if it fails. A plan and subtests in parallel are not supported. */
export async function runTest(run, name = '') {
  const hooks = [];
  const controller = new AbortController();
  const context = {
    name,
    signal: controller.signal,
    diagnostic() {},
    skip() {
      throw new Skipped();
    },
    after: (hook) => hooks.push(hook),
    test: (inner, options, body) => runTest(body ?? options, inner),
  };
  try {
    if (run.length > 1) throw new AssertionError({ message: 'tests with a callback are not supported' });
    await run(context);
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
  } finally {
    controller.abort();
    for (const hook of hooks) await hook(context);
  }
}
