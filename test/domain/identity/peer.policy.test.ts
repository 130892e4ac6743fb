// Goal: the first line that takes a person is the one that holds; whom none takes is not let in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerSettings, PeersSettings } from '../../../src/domain/config/settings.js';
import { choosePolicy, demandsIdentity, policyOfAnybody } from '../../../src/domain/identity/peer.js';
import { settingsOf, sound } from '../config/sound.js';

function listenerOf(text: string): ListenerSettings {
  const admin = text.includes('admin }') ? '  admin: { users: ["*"], allow: [quota get] }\n' : '';
  const whole = sound.replace('policies:\n', `policies:\n${admin}`).replace('policy: support }', `${text} }`);
  return settingsOf(whole).listeners[0] ?? assert.fail('no listener');
}

const isIn =
  (...groups: string[]) =>
  (peers: PeersSettings): boolean =>
    peers.groups.some((each) => groups.includes(each));
const nobody = (): boolean => false;

void test('one policy for everybody', () => {
  const listener = listenerOf('policy: support');
  assert.equal(choosePolicy(listener, nobody), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), false);
});

void test('peers say who is let in at all', () => {
  const listener = listenerOf('policy: support, peers: { groups: [desk] }');
  assert.equal(choosePolicy(listener, nobody), undefined);
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), true);
});

void test('by person, the first match holds; the line without peers takes the rest', () => {
  const listener = listenerOf(
    'policies: [{ peers: { groups: [admins] }, policy: admin }, { policy: support }]',
  );
  assert.equal(choosePolicy(listener, isIn('admins', 'desk')), 'admin');
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), true);
});

void test("where every line is somebody's, nobody else is let in", () => {
  const listener = listenerOf(
    'policies: [{ peers: { groups: [admins] }, policy: admin }, { peers: { groups: [desk] }, policy: support }]',
  );
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(choosePolicy(listener, isIn('others')), undefined);
  assert.equal(policyOfAnybody(listener), undefined);
});
