// One word, one colour and one sign for each outcome and each effect, on every screen: the table, and that no screen has another spelling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectSign, effects, outcomeSign, outcomes } from '../../../src/page/web/signs.js';
import { queryKeys } from '../../../src/page/web/trail-query.js';
import { filesBelow, textOf } from '../../architecture/project.js';

const valuesOf = (key: string): readonly string[] => queryKeys.find((each) => each.key === key)?.values ?? [];

void test('every outcome and effect that the trail can be searched for has a sign, with the word of the search', () => {
  for (const outcome of valuesOf('outcome')) assert.equal(outcomes[outcome]?.word, outcome);
  for (const effect of valuesOf('effect')) assert.equal(effects[effect]?.word, effect);
});

void test('a denial and a failure differ in word, colour and shape, and an effect is taken for no outcome', () => {
  const [denied, failed, ok] = ['denied', 'failed', 'ok'].map(outcomeSign);
  for (const part of ['word', 'tone', 'shape'] as const)
    assert.equal(new Set([denied?.[part], failed?.[part], ok?.[part]]).size, 3, part);
  const shapes = new Set(Object.values(outcomes).map(({ shape }) => shape));
  for (const { word, shape } of Object.values(effects)) assert.ok(!shapes.has(shape), word);
  assert.equal(new Set(['destroy', 'content', 'read'].map((effect) => effectSign(effect).tone)).size, 3);
});

void test('a word of a later release is shown, without the sign of another one', () => {
  assert.deepEqual(outcomeSign('postponed'), { word: 'postponed', tone: 'strange', shape: 'question' });
  assert.equal(outcomeSign('constructor').word, 'constructor');
  assert.equal(effectSign('toString').tone, 'quiet');
});

void test('no screen spells an outcome or an effect in another way, or gives one a colour of its own', () => {
  const wrong: string[] = [];
  for (const path of filesBelow('src/page/web').filter((each) => each.endsWith('.tsx'))) {
    const shown = textOf(path)
      .replace(/^\s*(\/\/|\/?\*).*$/gm, '')
      .replace(/\bRefused\b|'refused'/g, '')
      // What an approver does with a request is no outcome of a command.
      .replace(/\brefuse\b/gi, '');
    for (const [word] of shown.matchAll(
      /\b(refus\w+|reject(ed|ions?)|declined|forbidden|succeeded|successful|errored|timed out|not allowed)\b/gi,
    ))
      wrong.push(`${path}: ${word}`);
    if (path.endsWith('/badge.tsx')) continue;
    for (const [line] of shown.matchAll(
      /<(Sign|Badge)\b[^>]*>\s*(denied|failed|partly|aborted|timeout|unparsable|limited|destroy|content|write|admin)\s*<|['"](denied|failed|partly|aborted|timeout|destroy)['"]\s*\?\s*['"](good|warn|bad|quiet)['"]/g,
    ))
      wrong.push(`${path}: ${line}; draw it by <Outcome> or <Effect>`);
  }
  assert.deepEqual(wrong, []);
});

/** How unlike two colors look: their distance in OKLab, in which 0 is the same and black is 1 from white. */
function distance(one: string, other: string): number {
  const lab = (hex: string): readonly [number, number, number] => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    const l = Math.cbrt(0.4122 * r + 0.5363 * g + 0.0514 * b);
    const m = Math.cbrt(0.2119 * r + 0.6807 * g + 0.1074 * b);
    const s = Math.cbrt(0.0883 * r + 0.2817 * g + 0.63 * b);
    return [
      0.2105 * l + 0.7936 * m - 0.0041 * s,
      1.978 * l - 2.4286 * m + 0.4506 * s,
      0.0259 * l + 0.7828 * m - 0.8087 * s,
    ];
  };
  const [a, b] = [lab(one), lab(other)];
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

void test('no line of a chart has the color of a state or an effect, or of another line, in both themes', () => {
  const style = textOf('src/page/web/style.css');
  for (const [at, theme] of ['light', 'dark'].entries()) {
    const color = (name: string): string => {
      const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\);`).exec(style)?.[
        at + 1
      ];
      return found ?? assert.fail(`${theme}: no color ${name}`);
    };
    const series = ['s0', 's1', 's2', 's3', 's4', 's5'];
    const states = ['good', 'warn', 'bad', 'odd', 'write', 'content', 'destroy'];
    for (const [place, name] of series.entries())
      for (const other of [...states, ...series.slice(0, place)]) {
        const found = distance(color(name), color(other));
        assert.ok(found > 0.09, `${theme}: ${name} looks like ${other} (${found.toFixed(3)})`);
      }
  }
});
