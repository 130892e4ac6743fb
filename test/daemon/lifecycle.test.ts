// Goal: the table of states: what may follow what, and that nothing else can.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lifecycle, type Phase } from '../../src/daemon/lifecycle.js';

const phases: readonly Phase[] = ['starting', 'serving', 'reloading', 'draining', 'stopped'];
const legal = [
  'starting serving',
  'starting stopped',
  'serving reloading',
  'serving draining',
  'serving stopped',
  'reloading serving',
  'reloading draining',
  'reloading stopped',
  'draining stopped',
];
const wayTo: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: [],
  serving: ['serving'],
  reloading: ['serving', 'reloading'],
  draining: ['serving', 'draining'],
  stopped: ['stopped'],
};

void test('each pair of states', () => {
  for (const from of phases) {
    for (const to of phases) {
      const lifecycle = new Lifecycle();
      for (const phase of wayTo[from]) lifecycle.become(phase);
      assert.equal(lifecycle.at, from);
      const isLegal = legal.includes(`${from} ${to}`);
      assert.equal(lifecycle.may(to), isLegal, `${from} ${to}`);
      if (isLegal) {
        lifecycle.become(to);
        assert.equal(lifecycle.at, to);
      } else {
        assert.throws(() => lifecycle.become(to), /cannot be/);
      }
    }
  }
});
