// Counters and histograms that every command increments: numbers in maps of maps, label by label, which become text on a read. An increment
// makes no string and no object of the labels, as one of the metrics package does.

import { Counter, type Registry } from 'prom-client';

interface Node<Leaf> {
  readonly leaf: Leaf;
  readonly below: Map<string, Node<Leaf>>;
}

/** A leaf for each combination of labels that was counted; without labels, one. */
class Labelled<Leaf> {
  readonly #depth: number;
  readonly #makeLeaf: () => Leaf;
  readonly #root: Node<Leaf>;

  constructor(depth: number, makeLeaf: () => Leaf) {
    this.#depth = depth;
    this.#makeLeaf = makeLeaf;
    this.#root = { leaf: makeLeaf(), below: new Map() };
  }

  /** One value for each label, in their order. */
  at(values: readonly string[]): Leaf {
    let node = this.#root;
    for (const value of values) {
      let next = node.below.get(value);
      if (next === undefined) {
        next = { leaf: this.#makeLeaf(), below: new Map() };
        node.below.set(value, next);
      }
      node = next;
    }
    return node.leaf;
  }

  /** The values are valid only during the call. */
  each(visit: (values: readonly string[], leaf: Leaf) => void): void {
    const values: string[] = [];
    const go = ({ leaf, below }: Node<Leaf>): void => {
      if (values.length === this.#depth) return visit(values, leaf);
      for (const [value, node] of below) {
        values.push(value);
        go(node);
        values.pop();
      }
    };
    go(this.#root);
  }
}

/** As Tally: an increment of the metrics package makes an object and a string of the labels, and took 5 us of 105 of a command. */
export class Durations<const L extends readonly string[]> {
  /** Upper bounds of the buckets, in seconds, ascending; one more bucket is above all of them. */
  readonly bounds: readonly number[];
  readonly #name: string;
  readonly #help: string;
  readonly #labelNames: L;
  /** Counts of each bucket alone; the last one is above all bounds. */
  readonly #series: Labelled<{ readonly counts: number[]; sum: number }>;

  constructor(name: string, help: string, bounds: readonly number[], labelNames: L) {
    this.#name = name;
    this.#help = help;
    this.bounds = bounds;
    this.#labelNames = labelNames;
    this.#series = new Labelled(labelNames.length, () => ({ counts: [...bounds, 0].fill(0), sum: 0 }));
  }

  /** One value for each label, in their order. */
  add(seconds: number, ...values: { readonly [K in keyof L]: string }): void {
    const series = this.#series.at(values);
    let at = 0;
    while (at < this.bounds.length && seconds > (this.bounds[at] ?? 0)) at += 1;
    series.counts[at] = (series.counts[at] ?? 0) + 1;
    series.sum += seconds;
  }

  /** Each series: its labels, which are valid only during the call, and the counts of each bucket alone. */
  each(visit: (values: readonly string[], counts: readonly number[]) => void): void {
    this.#series.each((values, { counts }) => visit(values, counts));
  }

  render(): string {
    const name = this.#name;
    const lines = [`# HELP ${name} ${this.#help}`, `# TYPE ${name} histogram`];
    this.#series.each((values, { counts, sum }) => {
      const labels = values.map((value, at) => `${this.#labelNames[at]}="${escaped(value)}"`);
      const alone = labels.length === 0 ? '' : `{${labels.join()}}`;
      let count = 0;
      for (const [at, ofBucket] of counts.entries()) {
        count += ofBucket;
        lines.push(`${name}_bucket{${[`le="${this.bounds[at] ?? '+Inf'}"`, ...labels].join()}} ${count}`);
      }
      lines.push(`${name}_sum${alone} ${sum}`, `${name}_count${alone} ${count}`);
    });
    return `${lines.join('\n')}\n`;
  }
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

/** Maps of maps, label by label, which become a metric on a read: an increment takes 50 ns, and 390 in the metrics package. */
export class Tally<const L extends readonly string[]> {
  readonly #counts: Labelled<{ count: number }>;

  constructor(registry: Registry, name: string, help: string, labelNames: L) {
    this.#counts = new Labelled(labelNames.length, () => ({ count: 0 }));
    const counter = new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect: () => {
        counter.reset();
        this.each((values, count) =>
          counter.inc(Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? ''])), count),
        );
      },
    });
  }

  /** Each combination of labels that was counted; the labels are valid only during the call. */
  each(visit: (values: readonly string[], count: number) => void): void {
    this.#counts.each((values, { count }) => visit(values, count));
  }

  /** One value for each label, in their order; `count` is not negative. */
  add(count: number, ...values: { readonly [K in keyof L]: string }): void {
    this.#counts.at(values).count += count;
  }
}
