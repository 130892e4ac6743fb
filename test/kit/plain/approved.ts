// Answers that a person approved, in a text file beside the test. After a change, DOVEGATE_ANSWERS=write and the test write the file:
// read the difference.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { projectRoot } from './root.js';

/** What is asked, and the function that answers. */
export type Asked = readonly [question: string, answer: () => unknown];

/** Compares each whole answer with the file's; `file`: from the project's root. */
export function compareAnswers(file: string, asked: readonly Asked[]): void {
  const place = new URL(file, projectRoot);
  assert.equal(new Set(asked.map(([question]) => question)).size, asked.length, 'none is asked twice');
  const now = asked.map(([question, answer]) => visible(`${question}\n  ${shown(answer)}`));
  if (process.env['DOVEGATE_ANSWERS'] === 'write') return writeFileSync(place, `${now.join('\n')}\n`);
  assert.deepEqual(now.join('\n').split('\n'), readFileSync(place, 'utf8').replace(/\n$/, '').split('\n'));
}

/** What makes a step of a story, and what it answers; undefined: nothing to show. */
export type Tell = (step: string) => unknown;

/**
 * Stories in a text file: `# NAME`, lines that begin with `with `, and steps; below a step, indented, the answer that was approved. A line
 * that begins with `//` is a comment. `open` gets what is behind each `with `.
 */
export async function compareStories(
  file: string,
  open: (withs: readonly string[], name: string) => Tell | Promise<Tell>,
): Promise<void> {
  const place = new URL(file, projectRoot);
  const approved = readFileSync(place, 'utf8').replace(/\n$/, '').split('\n');
  const now: string[] = [];
  let [name, withs, tell]: [string, string[], Tell | undefined] = ['', [], undefined];
  for (const step of approved) {
    if (step.startsWith('  ')) continue;
    now.push(step);
    if (step.startsWith('# ')) [name, withs, tell] = [step.slice(2), [], undefined];
    else if (step.startsWith('with ')) withs.push(step.slice(5));
    else if (step !== '' && !step.startsWith('//')) {
      tell ??= await open(withs, name);
      const answer = await tell(step);
      if (answer !== undefined && answer !== '') now.push(...visible(`  ${shown(() => answer)}`).split('\n'));
    }
  }
  if (process.env['DOVEGATE_ANSWERS'] === 'write') return writeFileSync(place, `${now.join('\n')}\n`);
  assert.deepEqual(now, approved);
}

/** Short answers under a heading, each on the line of its question. */
export function inLines(heading: string, asked: readonly Asked[]): Asked {
  assert.equal(new Set(asked.map(([question]) => question)).size, asked.length, 'none is asked twice');
  return [heading, () => asked.map(([question, answer]) => `${question}: ${shown(answer)}`).join('\n')];
}

/** JSON, an error's message, or the text itself; `x{4000}` is a character as often. */
function shown(answer: () => unknown): string {
  let value: unknown;
  try {
    value = answer();
  } catch (error) {
    value = String(error);
  }
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  return text
    .replace(
      /(\\u[0-9a-f]{4}|\\?[^0-9a-f]|\{[^{}]*\},)\1{15,}/gu,
      (all, sign: string) => `${sign}{${all.length / sign.length}}`,
    )
    .replaceAll('\n', '\n  ');
}

/** Characters that nobody sees, as their codes. */
function visible(text: string): string {
  return text.replace(
    /[\0-\x09\x0b-\x1f\x7f-\xa0\u200b-\u202e\ufeff]/g,
    (sign) => `<${sign.charCodeAt(0).toString(16)}>`,
  );
}
