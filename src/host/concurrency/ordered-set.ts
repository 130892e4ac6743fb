// A linked list as a set: both ends, adding and deleting take constant time. (A built-in Set keeps holes where members were, and walks over
// them to its first member.) Each member stores its own place: a table of members would cost a hash for every waiter.

/** A member: of one set at a time. */
export interface Placed<T extends Placed<T>> {
  /** Its position; undefined: in no set. Written by the set only. */
  place: Place<T> | undefined;
}

export interface Place<T extends Placed<T>> {
  readonly set: OrderedSet<T>;
  readonly member: T;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
}

export class OrderedSet<T extends Placed<T>> {
  size = 0;
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;

  get first(): T | undefined {
    return this.#first?.member;
  }

  get last(): T | undefined {
    return this.#last?.member;
  }

  has(member: T): boolean {
    return member.place?.set === this;
  }

  /** At the end; a member that is in the set moves there. */
  add(member: T): void {
    this.#leave(member);
    const place: Place<T> = { set: this, member, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    member.place = place;
    this.size += 1;
  }

  /** At the beginning; a member that is in the set moves there. */
  addFirst(member: T): void {
    this.#leave(member);
    const place: Place<T> = { set: this, member, previous: undefined, next: this.#first };
    if (this.#first === undefined) this.#last = place;
    else this.#first.previous = place;
    this.#first = place;
    member.place = place;
    this.size += 1;
  }

  /** False: it was not in the set. Safe during iteration. */
  delete(member: T): boolean {
    const { place } = member;
    if (place === undefined || place.set !== this) return false;
    member.place = undefined;
    this.size -= 1;
    const { previous, next } = place;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // A removed place must not refer to others: once V8 has promoted it, everything it refers to survives minor collections, and so does
    // all that follows. In a queue that is never empty, that was every waiter with its exchange.
    place.previous = undefined;
    place.next = undefined;
    return true;
  }

  /** The member after this one; undefined: it is the last, or not in the set. */
  after(member: T): T | undefined {
    return this.has(member) ? member.place?.next?.member : undefined;
  }

  /** Members removed or added during iteration are skipped. */
  *[Symbol.iterator](): Iterator<T> {
    const members: T[] = [];
    for (let place = this.#first; place !== undefined; place = place.next) members.push(place.member);
    for (const member of members) if (this.has(member)) yield member;
  }

  /** A member of two sets would be lost to one of them. */
  #leave(member: T): void {
    if (!this.delete(member) && member.place !== undefined) throw new Error('a member of another set');
  }
}
