// Tests for one kind of a union. A comparison such as `value.kind === 'tcp'` treats all other kinds alike, also one that is added later,
// and no search finds it. So each union that other modules test has one predicate beside it; code that distinguishes kinds has a switch.
// test/architecture/kinds.test.ts enforces that.

/** The predicate of a union: whether a value is of that kind. Undefined is of none. */
export const predicateOf =
  <Union extends { readonly kind: string }>() =>
  <Kind extends Union['kind']>(
    value: Union | undefined,
    kind: Kind,
  ): value is Union & { readonly kind: Kind } =>
    value?.kind === kind;
