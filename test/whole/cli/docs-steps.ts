// What a page of the documentation holds for the test that runs it: its fences, and the steps in the order of the lines (docs-page.ts says
// how they are written).
import assert from 'node:assert/strict';

/** What a page tells the test, in order of the lines. */
export type Step =
  | { readonly kind: 'file'; readonly name: string; readonly text: string }
  | { readonly kind: 'hidden'; readonly command: string }
  | { readonly kind: 'wait'; readonly what: string }
  | { readonly kind: 'daemon'; readonly isStart: boolean }
  | { readonly kind: 'shown'; readonly command: string; readonly output: string; readonly at: number };

interface Fence {
  readonly language: string;
  /** The rest of the opening line. */
  readonly info: string;
  readonly text: string;
  /** Offset of the text in the page. */
  readonly at: number;
}

const fencePattern = /^( *)```([a-z]*)(?: ([^\n]*))?\n(.*?)^\1```$/gms;

export function fencesOf(page: string): Fence[] {
  return [...page.matchAll(fencePattern)].map((found) => {
    const [whole, indent = '', language = '', info = '', text = ''] = found;
    const at = found.index + whole.length - indent.length - 3 - text.length;
    return { language, info, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''), at };
  });
}

/** The configuration of the first example in README. */
export function firstExample(readme: string): string {
  const text = fencesOf(readme).find(({ language, info }) => language === 'yaml' && info !== '')?.text;
  assert.ok(
    text !== undefined && text.startsWith('version: 1\n'),
    'README begins with a whole configuration',
  );
  return text;
}

/** A whole configuration of a fragment: each of its keys replaces that of the first example, or follows the key before. */
export function complete(fragment: string, base: string): string {
  if (/^version:/m.test(fragment)) return fragment;
  const isKey = /^(?=[a-z_]+:)/m;
  const sections = base.split(isKey).map((text) => ({ key: text.split(':', 1)[0], text }));
  let last = sections.length - 1;
  for (const text of fragment.split(isKey).filter((each) => /^[a-z_]+:/.test(each))) {
    const key = text.split(':', 1)[0];
    const same = sections.findIndex((each) => each.key === key);
    if (same >= 0) last = same;
    else last += 1;
    sections.splice(last, same >= 0 ? 1 : 0, { key, text: text.endsWith('\n') ? text : `${text}\n` });
  }
  return sections.map(({ text }) => text).join('');
}

export function stepsOf(page: string, base: string): Step[] {
  const steps: { at: number; step: Step }[] = [];
  for (const { language, info, text, at } of fencesOf(page)) {
    const [name = '', isAlone] = info.split(' ');
    if (language === 'yaml' && name !== '')
      steps.push({
        at,
        step: { kind: 'file', name, text: isAlone === undefined ? complete(text, base) : text },
      });
    if (language !== 'console') continue;
    let offset = at;
    for (const part of text.split(/^(?=\$ )/m)) {
      const [first = ''] = /^\$ (?:.*\\\n)*.*\n?/.exec(part) ?? [];
      assert.ok(first !== '', `a console block begins with "$ ": ${part}`);
      const outputAt = offset + first.length;
      const command = first.slice(2).trimEnd();
      steps.push({
        at: offset,
        step: { kind: 'shown', command, output: part.slice(first.length), at: outputAt },
      });
      offset += part.length;
    }
  }
  for (const { 1: name = '', 2: text = '', index: at } of page.matchAll(/^<!-- file: (\S+)\n(.*?)-->$/gms))
    steps.push({ at, step: { kind: 'file', name, text: complete(text, base) } });
  for (const found of page.matchAll(/^<!-- (run|wait|daemon)(?:: (.*?))? -->$/gms)) {
    const [, what, text = ''] = found;
    const step = (): Step => {
      if (what === 'run') return { kind: 'hidden', command: text };
      return what === 'wait' ? { kind: 'wait', what: text } : { kind: 'daemon', isStart: text !== 'stop' };
    };
    steps.push({ at: found.index, step: step() });
  }
  return steps.toSorted((one, other) => one.at - other.at).map(({ step }) => step);
}

/** A command of the program under one of its names, and what is done with its output. */
export interface PlainCommand {
  readonly name: 'dovegate' | 'doveadm';
  readonly args: readonly string[];
  /** Other programs that read it, as they stand behind the first `|`. */
  readonly filter: string | undefined;
}

const plainWords =
  /^(dovegate|doveadm)((?:[ ]+(?:[\w@%+=:,./-]+|'[^']*'|"[^"$`\\!]*"))*)(?: \| ((?!.*\b(?:dovegate|doveadm)\b).*))?$/;

/** Commands that need nothing of a shell but its quotes, `;` between them, and a filter behind the last one; else undefined. */
export function plainCommands(line: string): readonly PlainCommand[] | undefined {
  const commands = line.split('; ').map((command): PlainCommand | undefined => {
    const [, name, words, filter] = plainWords.exec(command) ?? [];
    if (words === undefined) return undefined;
    const args = [...words.matchAll(/'([^']*)'|"([^"]*)"|([^ ]+)/g)].map(
      ([, single, double, bare]) => single ?? double ?? bare ?? '',
    );
    return { name: name === 'doveadm' ? name : 'dovegate', args, filter };
  });
  return commands.every((command) => command !== undefined) ? commands : undefined;
}
