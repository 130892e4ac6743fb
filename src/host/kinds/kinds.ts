// Questions about one kind of a union. `value.kind === 'tcp'` takes every other kind for the rest, also one that is added later, and no
// search finds it. So each union that other modules ask has one predicate beside it; code that tells kinds apart has a switch.
// test/architecture/kinds.test.ts holds that.

/** The predicate of a union: whether a value is of that kind. Undefined is of none. */
export const predicateOf =
  <Union extends { readonly kind: string }>() =>
  <Kind extends Union['kind']>(
    value: Union | undefined,
    kind: Kind,
  ): value is Union & { readonly kind: Kind } =>
    value?.kind === kind;
