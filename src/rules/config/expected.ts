// What a schema expects of each part of a tree, before it sees the tree: the schemas below, and how a scalar is to be spelled.
import * as z from 'zod';

/** A scalar before its schema sees it. `source`: its characters; `absolute`: makes a path absolute from the file that names it. */
interface WrittenScalar {
  readonly value: unknown;
  readonly source: string;
  readonly absolute: (path: string) => string;
}

export type Spelling = (written: WrittenScalar) => unknown;
export const spellings = z.registry<{ readonly spelling: Spelling }>();

/** What a schema expects of its value, found through defaults, conversions and alternatives. */
interface Expected {
  readonly spelling: Spelling | undefined;
  /** Whether it is read at a start only; undefined: as for the section above it. */
  readonly restart: boolean | undefined;
  /** Of a map with fixed keys. */
  readonly keys: readonly string[];
  readonly at: (key: string) => z.core.$ZodType | undefined;
  readonly item: z.core.$ZodType | undefined;
}

const expectations = new WeakMap<z.core.$ZodType, Expected>();

export function expectedBy(schema: z.core.$ZodType): Expected {
  const known = expectations.get(schema);
  if (known !== undefined) return known;
  const all = [...layersOf(schema)];
  const [map] = all.filter((each) => each instanceof z.ZodObject || each instanceof z.ZodRecord);
  const expected = {
    spelling: all.map((each) => spellings.get(each)?.spelling).find((each) => each !== undefined),
    restart: all
      .map((each) => z.globalRegistry.get(each)?.['restart'])
      .find((each) => typeof each === 'boolean'),
    keys: map instanceof z.ZodObject ? Object.keys(map.def.shape) : [],
    at: (key: string) => {
      if (!(map instanceof z.ZodObject)) return map?.def.valueType;
      // Own members only: a key in a file may be `constructor`.
      return Object.hasOwn(map.def.shape, key) ? map.def.shape[key] : map.def.catchall;
    },
    item: all.find((each) => each instanceof z.ZodArray)?.def.element,
  };
  expectations.set(schema, expected);
  return expected;
}

function* layersOf(schema: z.core.$ZodType): Iterable<z.core.$ZodType> {
  yield schema;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault)
    yield* layersOf(schema.def.innerType);
  else if (schema instanceof z.ZodPipe) yield* layersOf(schema.def.in);
  else if (schema instanceof z.ZodUnion) for (const each of schema.def.options) yield* layersOf(each);
}
