// A histogram with labels of which a step costs a few look-ups: counts lie in arrays, found label by label, and become the
// values of a metric when somebody reads. It does not know what is measured. (A step of the metrics package makes two
// objects and a string: 460 ns on the machine where one here took 60.)

import { Histogram, type Registry } from 'prom-client';

/** Values counted by size and by their labels; `L` are the names of these. */
export interface Distribution<L extends readonly string[]> {
  /** A finite value, and one value for each label, in their order. */
  add(value: number, ...values: { readonly [K in keyof L]: string }): void;
}

/** What a histogram is made of; `buckets`: their upper bounds, growing. */
export interface DistributionOptions<L extends readonly string[]> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: L;
  readonly buckets: readonly number[];
}

interface Node {
  /** By bucket, not summed up; the last one for what is above all of them. */
  readonly counts: number[];
  sum: number;
  readonly below: Map<string, Node>;
}

interface Shown {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

/** A histogram of `registry`. Without labels it is there from the start. */
export function createDistribution<const L extends readonly string[]>(
  registry: Registry,
  options: DistributionOptions<L>,
): Distribution<L> {
  const { name, help, labelNames, buckets } = options;
  const root = createNode();
  const histogram = new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [registry] });
  // It has nothing to say of its own; a registry without the short way to a text takes the one that is documented.
  const get = () => Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: shown() });
  Object.assign(histogram, { get, getForPromString: undefined });

  return {
    add(value, ...values) {
      let node = root;
      for (const label of values) {
        let next = node.below.get(label);
        if (next === undefined) {
          next = createNode();
          node.below.set(label, next);
        }
        node = next;
      }
      let bucket = 0;
      while (bucket < buckets.length && value > (buckets[bucket] ?? 0)) bucket += 1;
      node.counts[bucket] = (node.counts[bucket] ?? 0) + 1;
      node.sum += value;
    },
  };

  function createNode(): Node {
    return { counts: Array.from({ length: buckets.length + 1 }, () => 0), sum: 0, below: new Map() };
  }

  function shown(): readonly Shown[] {
    const all: Shown[] = [];
    show(root, 0, {}, all);
    return all;
  }

  function show(node: Node, depth: number, labels: Readonly<Record<string, string>>, into: Shown[]): void {
    const labelName = labelNames[depth];
    if (labelName !== undefined) {
      for (const [value, below] of node.below)
        show(below, depth + 1, { ...labels, [labelName]: value }, into);
      return;
    }
    let count = 0;
    for (const [bucket, more] of node.counts.entries()) {
      count += more;
      const le = buckets[bucket] ?? '+Inf';
      into.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
    }
    into.push({ metricName: `${name}_sum`, labels: { ...labels }, value: node.sum });
    into.push({ metricName: `${name}_count`, labels: { ...labels }, value: count });
  }
}
