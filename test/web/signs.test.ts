// One word, one colour and one sign for each outcome and each effect, on every screen: the table, and that no screen has another spelling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectSign, effects, outcomeSign, outcomes } from '../../src/web/signs.js';
import { queryKeys } from '../../src/web/trail-query.js';
import { filesBelow, textOf } from '../architecture/project.js';

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
  for (const [one, other] of [
    ['destroy', 'read'],
    ['content', 'read'],
    ['destroy', 'content'],
  ] as const)
    assert.notEqual(effectSign(one).tone, effectSign(other).tone);
});

void test('a word of a later release is shown, without the sign of another one', () => {
  assert.deepEqual(outcomeSign('postponed'), { word: 'postponed', tone: 'strange', shape: 'question' });
  assert.equal(outcomeSign('constructor').word, 'constructor');
  assert.equal(effectSign('toString').tone, 'quiet');
});

void test('no screen spells an outcome or an effect in another way, or gives one a colour of its own', () => {
  const wrong: string[] = [];
  for (const path of filesBelow('src/web').filter((each) => each.endsWith('.tsx'))) {
    const shown = textOf(path)
      .replace(/^\s*(\/\/|\/?\*).*$/gm, '')
      .replace(/\bRefused\b|'refused'/g, '');
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
