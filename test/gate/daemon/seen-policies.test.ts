// Goal: a change of policies waits for an operator who did not make it, over restarts, however many changes there are. What must not
// happen: that whoever changes them acknowledges it, that two changes hide behind one click, that a site with one operator cannot.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SeenPolicies } from '../../../src/gate/daemon/seen-policies.js';
import { widerKey } from '../../../src/gate/now/operator.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { openFolder } from '../../kit/plain/folder.js';
import { settingsOf, sound } from '../../rules/config/sound.js';

const persons = new Persons(new Map());

/** The gate's rules, with these people on the page. */
function rulesWith(people: string) {
  const page = `page: { unix: page.sock, people: ${people} }`;
  const settings = settingsOf(`${sound}admin: { ${page} }\n`);
  return { settings, persons };
}

void test('whoever changed the policies is refused while another operator is there', (t) => {
  const state = openFolder(t);
  const two = rulesWith(
    '{ anna: { user: anna, role: operate }, bob: { user: bob, role: operate }, carl: { user: carl, role: audit } }',
  );
  const seen = new SeenPolicies(state, 'a');
  assert.deepEqual(seen.now, { seen: 'a', served: 'a' });
  seen.turnTo('b');
  seen.changedBy(['uid:1001', 'name:anna']);
  const key = widerKey('a', 'b');
  assert.match(
    seen.whyNot(key, ['page:anna', 'name:anna'], two) ?? '',
    /^you changed .*: bob must look at it$/,
  );
  assert.equal(seen.whyNot(key, ['page:bob', 'name:bob'], two), undefined);
  // Nobody else could.
  const one = rulesWith('{ anna: { user: anna, role: operate }, carl: { user: carl, role: audit } }');
  assert.equal(seen.whyNot(key, ['page:anna', 'name:anna'], one), undefined);
  assert.equal(seen.whyNot('certificate soon mail1', ['page:anna', 'name:anna'], two), undefined);

  // What bob looked at is not what is served any more; the pair is from the last one that was seen.
  seen.turnTo('c');
  assert.match(seen.whyNot(key, ['page:bob', 'name:bob'], two) ?? '', /look again/);
  assert.equal(seen.take(key), false);
  const again = new SeenPolicies(state, 'd');
  assert.deepEqual(again.now, { seen: 'a', served: 'd' });
  assert.match(again.whyNot(widerKey('a', 'd'), ['name:anna'], two) ?? '', /^you changed/);
  assert.equal(again.take(widerKey('a', 'd')), true);
  assert.deepEqual(new SeenPolicies(state, 'd').now, { seen: 'd', served: 'd' });
  // Anna's change was seen: she may look at that of somebody else.
  again.turnTo('e');
  again.changedBy(['name:bob']);
  assert.equal(again.whyNot(widerKey('d', 'e'), ['name:anna'], two), undefined);
});

void test('a reload without a change names nobody; a damaged file stops the start', (t) => {
  const state = openFolder(t);
  const seen = new SeenPolicies(state, 'a');
  const file = join(state, 'seen-policies.json');
  seen.changedBy(['name:anna']);
  assert.equal(readFileSync(file, 'utf8'), '{"policies":"a","makers":[]}\n');
  for (const text of ['', '{', '{"policies":"a"}', '{"policies":7,"makers":[]}']) {
    writeFileSync(file, text);
    assert.throws(() => new SeenPolicies(state, 'b'), /does not say which policies were seen/, text);
  }
});
