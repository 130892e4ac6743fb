/** Licences under which the dependencies of what is published may come. */
export const licences: ReadonlySet<string> = new Set(
  'MIT MIT-0 ISC Apache-2.0 Unlicense BSD-2-Clause BSD-3-Clause BlueOak-1.0.0 0BSD'.split(' '),
);
