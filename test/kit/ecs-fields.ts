// Checks an event against the published fields of the Elastic Common Schema, from the package that Elastic makes of them: every field
// outside of `dovegate` is one of them, with its type, its words and its form as a list.
import { createRequire } from 'node:module';
import { isIP } from 'node:net';

interface Field {
  readonly type: string;
  readonly normalize: readonly string[];
  readonly allowed_values?: readonly {
    readonly name: string;
    readonly expected_event_types?: readonly string[];
  }[];
}

// Its entry point does not name the table.
const { EcsFlat }: { readonly EcsFlat: Readonly<Record<string, Field>> } = createRequire(import.meta.url)(
  '@elastic/ecs/generated/ecs_flat.js',
);

/** Faults as `FIELD: what`; empty: the event is valid. */
export function ecsFaults(event: Readonly<Record<string, unknown>>): string[] {
  const { dovegate, ...common } = event;
  const faults: string[] = [];
  const fields = new Map<string, unknown>();
  const flatten = (value: object, under: string): void => {
    for (const [key, member] of Object.entries(value)) {
      const name = `${under}${key}`;
      if (typeof member === 'object' && member !== null && !Array.isArray(member))
        flatten(member, `${name}.`);
      else fields.set(name, member);
    }
  };
  flatten(common, '');
  for (const [name, value] of fields) {
    const field = EcsFlat[name];
    if (field === undefined) {
      faults.push(`${name}: no such field`);
      continue;
    }
    if (field.normalize.includes('array') !== Array.isArray(value)) faults.push(`${name}: a list or not`);
    for (const each of [value].flat()) {
      if (!isOf(field.type, each)) faults.push(`${name}: ${JSON.stringify(each)} is no ${field.type}`);
      if (field.allowed_values?.some(({ name: word }) => word === each) === false)
        faults.push(`${name}: ${String(each)} is no word of it`);
    }
  }
  for (const name of ['@timestamp', 'ecs.version', 'event.kind'])
    if (!fields.has(name)) faults.push(`${name}: is missing`);
  const types = [fields.get('event.type')].flat();
  for (const category of [fields.get('event.category')].flat()) {
    const known = EcsFlat['event.category']?.allowed_values?.find(({ name }) => name === category);
    for (const type of types)
      if (known?.expected_event_types?.includes(String(type)) !== true)
        faults.push(`event.type: ${String(type)} is not expected in ${String(category)}`);
  }
  checkOwn(dovegate, 'dovegate');
  return faults;

  /** One type for each key: lists of texts, or a map of plain values. */
  function checkOwn(value: unknown, place: string): void {
    for (const [key, member] of Object.entries(Object(value))) {
      const at = `${place}.${key}`;
      if (Array.isArray(member)) {
        if (!member.every((each) => typeof each === 'string'))
          faults.push(`${at}: a list of other than texts`);
      } else if (typeof member === 'object') checkOwn(member, at);
    }
  }
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'long':
      return Number.isSafeInteger(value);
    case 'date':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value));
    case 'ip':
      return typeof value === 'string' && isIP(value) !== 0;
    default:
      return typeof value === 'string' && value !== '';
  }
}
