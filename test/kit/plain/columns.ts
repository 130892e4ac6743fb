// What a test compares of each thing in a list.

/** One key of each. */
export function column<T, K extends keyof T>(list: Iterable<T>, key: K): T[K][] {
  return Array.from(list, (each) => each[key]);
}

/** Several keys of each, in this order. */
export function columns<T, K extends keyof T>(list: Iterable<T>, ...keys: readonly K[]): T[K][][] {
  return Array.from(list, (each) => keys.map((key) => each[key]));
}
