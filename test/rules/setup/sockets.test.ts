import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListenFault } from '../../../src/host/net/listen.js';
import { PassedSockets } from '../../../src/rules/setup/sockets.js';

const native = {
  socketKind: (descriptor: number) =>
    descriptor < 10
      ? ({ kind: 'listening', family: 'unix' } as const)
      : ({ kind: 'other', text: 'no socket' } as const),
  duplicate: (descriptor: number) => descriptor + 100,
};

void test('a socket is taken by its name, as often as it is asked for; the others are told', () => {
  const sockets = new PassedSockets(
    [
      { descriptor: 3, name: 'support' },
      { descriptor: 4, name: 'billing' },
      { descriptor: 5, name: 'billing' },
    ],
    native,
  );
  const taken = [sockets.take('support', 'unix', 'team'), sockets.take('support', 'unix', 'team')];
  assert.deepEqual(taken, [103, 103]);
  assert.deepEqual(sockets.unused(), ['billing']);
});

void test('none of that name, two of it, or one that does not listen', () => {
  const sockets = new PassedSockets(
    [
      { descriptor: 3, name: 'support' },
      { descriptor: 4, name: 'twice' },
      { descriptor: 5, name: 'twice' },
      { descriptor: 12, name: 'file' },
    ],
    native,
  );
  const why = (name: string): string => {
    try {
      sockets.take(name, 'unix', 'team');
    } catch (fault) {
      assert.ok(fault instanceof ListenFault);
      return fault.message;
    }
    return assert.fail(name);
  };
  assert.equal(
    why('sales'),
    'listener team: systemd handed over no socket named sales (handed over: support, twice, twice, file). Run: ' +
      'systemctl enable dovegate@sales.socket; systemctl restart dovegate.service. ' +
      'If it is still missing: journalctl -u dovegate@sales.socket',
  );
  assert.match(why('twice'), /2 sockets named twice/);
  assert.match(why('file'), /as file is no socket/);
  assert.deepEqual(sockets.unused(), ['support', 'twice', 'file']);
  assert.throws(() => new PassedSockets([], native).take('support', 'unix', 'team'), /handed over: none/);
});
