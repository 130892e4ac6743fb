// A counter with labels of which a step costs a few look-ups: the numbers lie in maps of maps, label by label, and become a metric
// when somebody reads. (A labelled step of the metrics package makes an object and a string each time: 390 ns on the machine where
// a step here took 50.)

import { Counter, type Registry } from 'prom-client';

/** Counts by the values of its labels; `L` are their names. */
export interface Tally<L extends readonly string[]> {
  /** One value for each label, in their order; `count` is not negative. */
  add(count: number, ...values: { readonly [K in keyof L]: string }): void;
}

interface Node {
  count: number;
  readonly below: Map<string, Node>;
}

/** A counter of `registry` under that name. */
export function createTally<const L extends readonly string[]>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L,
): Tally<L> {
  const root: Node = { count: 0, below: new Map() };
  const counter = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      counter.reset();
      fill(root, 0, {});
    },
  });

  function fill(node: Node, depth: number, labels: Readonly<Record<string, string>>): void {
    const labelName = labelNames[depth];
    if (labelName === undefined) return counter.inc(labels, node.count);
    for (const [value, below] of node.below) fill(below, depth + 1, { ...labels, [labelName]: value });
  }

  return {
    add(count, ...values) {
      let node = root;
      for (const value of values) {
        let next = node.below.get(value);
        if (next === undefined) {
          next = { count: 0, below: new Map() };
          node.below.set(value, next);
        }
        node = next;
      }
      node.count += count;
    },
  };
}
