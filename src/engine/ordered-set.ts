// A set in an order that its owner gives it: both ends, adding and taking out cost the same whatever its size. (A Set of
// the language keeps holes where members were, and walks over them to its first member.) It does not know what it holds.

/** Members in order; each at most once. */
export interface OrderedSet<T> extends Iterable<T> {
  readonly size: number;
  readonly first: T | undefined;
  readonly last: T | undefined;
  has(member: T): boolean;
  /** At the end; a member that is in the set moves there. */
  add(member: T): void;
  /** At the beginning; a member that is in the set moves there. */
  addFirst(member: T): void;
  /** False: it was not there. Safe while somebody iterates. */
  delete(member: T): boolean;
  /** How many members stand before that one; counted up to `most`. */
  before(member: T, most: number): number;
}

interface Link<T> {
  readonly member: T;
  previous: Link<T> | undefined;
  next: Link<T> | undefined;
}

/** An empty set. */
export function createOrderedSet<T>(): OrderedSet<T> {
  return new LinkedSet<T>();
}

class LinkedSet<T> implements OrderedSet<T> {
  readonly #links = new Map<T, Link<T>>();
  #first: Link<T> | undefined;
  #last: Link<T> | undefined;

  get size(): number {
    return this.#links.size;
  }

  get first(): T | undefined {
    return this.#first?.member;
  }

  get last(): T | undefined {
    return this.#last?.member;
  }

  has(member: T): boolean {
    return this.#links.has(member);
  }

  add(member: T): void {
    this.delete(member);
    const link: Link<T> = { member, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    this.#links.set(member, link);
  }

  addFirst(member: T): void {
    this.delete(member);
    const link: Link<T> = { member, previous: undefined, next: this.#first };
    if (this.#first === undefined) this.#last = link;
    else this.#first.previous = link;
    this.#first = link;
    this.#links.set(member, link);
  }

  delete(member: T): boolean {
    const link = this.#links.get(member);
    if (link === undefined) return false;
    this.#links.delete(member);
    const { previous, next } = link;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    return true;
  }

  before(member: T, most: number): number {
    let count = 0;
    for (let link = this.#links.get(member)?.previous; link !== undefined; link = link.previous) {
      count += 1;
      if (count >= most) break;
    }
    return count;
  }

  /** What is taken out while it iterates is not met; what is added may be. */
  *[Symbol.iterator](): Iterator<T> {
    let link = this.#first;
    while (link !== undefined) {
      const { next } = link;
      yield link.member;
      // A member that went keeps its link, which may lead to one that went too: then what came next before is the way.
      link = this.#links.get(link.member) === link ? link.next : next;
      while (link !== undefined && this.#links.get(link.member) !== link) link = link.next;
    }
  }
}
