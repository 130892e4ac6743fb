// Checks an event against a schema of OCSF, strictly: an attribute that a class or an object does not have is a fault, too. The schema
// is a part of the table below, or what is published, if DOVEGATE_OCSF names a folder of github.com/ocsf/ocsf-schema.
import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

interface Attribute {
  readonly type: string;
  readonly isList?: boolean;
  readonly isRequired?: boolean;
  readonly words?: readonly number[];
}

interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly oneOf?: readonly string[];
}

/** Of a type: an object's attributes; undefined: it is a plain value. `event`: the class API Activity with the profile security_control. */
export type Shapes = (type: string) => Shape | undefined;

/** What dovegate uses of 1.8.0; `!`: required, `[]`: a list. */
const used: Readonly<Record<string, string>> = {
  event:
    'activity_id:integer_t! activity_name:string_t category_uid:integer_t! category_name:string_t class_uid:integer_t! class_name:string_t type_uid:long_t! time:timestamp_t! message:string_t severity_id:integer_t! severity:string_t status_id:integer_t status:string_t status_code:string_t status_detail:string_t action_id:integer_t action:string_t disposition_id:integer_t disposition:string_t policy:policy metadata:metadata! actor:actor! api:api! src_endpoint:network_endpoint! dst_endpoint:network_endpoint resources:resource_details[] unmapped:object',
  metadata:
    'version:string_t! product:product! profiles:string_t[] log_name:string_t event_code:string_t original_time:string_t uid:string_t sequence:integer_t correlation_uid:string_t',
  product: 'name:string_t vendor_name:string_t',
  actor: 'user:user process:process session:session app_name:string_t',
  user: 'name:username_t uid:string_t domain:string_t',
  process: 'pid:integer_t path:string_t',
  session: 'uid:string_t',
  api: 'operation:string_t! service:service request:request response:response',
  service: 'name:string_t',
  request: 'uid:string_t!',
  response: 'message:string_t error:string_t',
  network_endpoint: 'ip:ip_t name:string_t uid:string_t',
  resource_details: 'name:string_t type:string_t',
  policy: 'name:string_t version:string_t',
};
const words: Readonly<Record<string, readonly number[]>> = {
  activity_id: [0, 1, 2, 3, 4, 99],
  category_uid: [6],
  class_uid: [6003],
  severity_id: [0, 1, 2, 3, 4, 5, 6, 99],
  status_id: [0, 1, 2, 99],
  action_id: [0, 1, 2, 3, 4, 99],
};
const oneOf: Readonly<Record<string, readonly string[]>> = {
  actor: ['process', 'user', 'session', 'app_name'],
  network_endpoint: ['ip', 'uid', 'name'],
};

export const usedShapes: Shapes = (type) => {
  const text = used[type];
  if (text === undefined) return undefined;
  const attributes = text.split(' ').map((each): [string, Attribute] => {
    const [, name = '', of = '', list, demand] = /^(\w+):(\w+)(\[\])?(!)?$/.exec(each) ?? [];
    const closed = type === 'event' ? words[name] : undefined;
    return [
      name,
      {
        type: of,
        isList: list !== undefined,
        isRequired: demand !== undefined,
        ...(closed && { words: closed }),
      },
    ];
  });
  return { attributes: Object.fromEntries(attributes), ...(oneOf[type] && { oneOf: oneOf[type] }) };
};

type Said = Readonly<Record<string, unknown>>;

interface Published {
  readonly name: string;
  readonly extends?: string;
  readonly attributes: Readonly<Record<string, Said>> & { readonly $include?: Said };
  readonly constraints?: { readonly at_least_one?: readonly string[] };
}

/** The published schema, with what its files extend and include. */
export function publishedShapes(folder: string): Shapes {
  const read = (path: string): Published => JSON.parse(readFileSync(join(folder, path), 'utf8'));
  const dictionary = read('dictionary.json').attributes;
  const files = (under: string): readonly Published[] =>
    readdirSync(join(folder, under), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      .map((name) => read(join(under, name)));
  const all = {
    objects: new Map(files('objects').map((each) => [each.name, each])),
    events: new Map(files('events').map((each) => [each.name, each])),
  };
  const merged = (of: 'objects' | 'events', name: string): Shape | undefined => {
    const found = all[of].get(name);
    if (found === undefined) return undefined;
    const before =
      found.extends === undefined || found.extends === 'object' ? undefined : merged(of, found.extends);
    const { $include, ...own } = found.attributes;
    const included = Array.isArray($include) ? $include.map(String) : [];
    const attributes: Record<string, Attribute> = { ...before?.attributes };
    // Profiles that this event does not apply add nothing that it must have.
    for (const path of included.filter((each) => /security_control|host/.test(each)))
      Object.assign(attributes, attributesOf(read(path).attributes, attributes));
    Object.assign(attributes, attributesOf(own, attributes));
    const some = found.constraints?.at_least_one ?? before?.oneOf;
    return { attributes, ...(some && { oneOf: some }) };
  };
  const attributesOf = (
    from: Published['attributes'],
    before: Readonly<Record<string, Attribute>>,
  ): Record<string, Attribute> =>
    Object.fromEntries(
      Object.entries(from)
        .filter(([name]) => name !== '$include')
        .map(([name, more]) => {
          const said: Said = { ...dictionary[name], ...more };
          const known = before[name];
          const listed = Object.keys({ ...Object(dictionary[name]?.['enum']), ...Object(more['enum']) }).map(
            Number,
          );
          const closed = [...new Set([...(known?.words ?? []), ...listed])];
          const isRequired =
            more['requirement'] === undefined
              ? known?.isRequired === true
              : said['requirement'] === 'required';
          const isOfNumbers = said['type'] === 'integer_t' && closed.length > 0;
          return [
            name,
            {
              type: String(said['type']),
              isList: said['is_array'] === true,
              isRequired,
              ...(isOfNumbers && { words: closed }),
            },
          ];
        }),
    );
  const event = merged('events', 'api_activity');
  const uid = Number(Object(read('categories.json').attributes['application'])['uid']);
  const classUid = uid * 1000 + Number(Object(all.events.get('api_activity'))['uid']);
  // What the published server makes of them.
  const uids = {
    category_uid: { type: 'integer_t', isRequired: true, words: [uid] },
    class_uid: { type: 'integer_t', isRequired: true, words: [classUid] },
  };
  return (type) =>
    type === 'event'
      ? event && { ...event, attributes: { ...event.attributes, ...uids } }
      : merged('objects', type);
}

/** Faults as `PLACE: what`; empty: the event is valid. */
export function ocsfFaults(shapes: Shapes, event: unknown): string[] {
  const faults: string[] = [];
  check(event, 'event', 'event');
  const { activity_id, class_uid, type_uid }: Record<string, unknown> = Object(event);
  if (type_uid !== Number(class_uid) * 100 + Number(activity_id)) faults.push('type_uid: not of the class');
  return faults;

  function check(value: unknown, type: string, place: string): void {
    // Anything: `unmapped`.
    if (type === 'object' || type === 'json_t') return;
    const shape = shapes(type);
    if (shape === undefined) {
      if (!isPlain(value, type)) faults.push(`${place}: ${JSON.stringify(value)} is no ${type}`);
      return;
    }
    const members: Record<string, unknown> = Object(value);
    if (typeof value !== 'object' || value === null) faults.push(`${place}: is no object`);
    for (const [name, { isRequired }] of Object.entries(shape.attributes))
      if (isRequired === true && members[name] === undefined) faults.push(`${place}.${name}: is missing`);
    if (shape.oneOf?.some((name) => members[name] !== undefined) === false)
      faults.push(`${place}: none of ${shape.oneOf.join(' ')}`);
    for (const [name, member] of Object.entries(members)) {
      const attribute = Object.hasOwn(shape.attributes, name) ? shape.attributes[name] : undefined;
      const at = `${place}.${name}`;
      if (attribute === undefined) faults.push(`${at}: no such attribute`);
      else if ((attribute.isList === true) !== Array.isArray(member)) faults.push(`${at}: a list or not`);
      else if (attribute.words?.includes(Number(member)) === false) faults.push(`${at}: ${String(member)}`);
      else for (const each of [member].flat()) check(each, attribute.type, at);
    }
  }
}

function isPlain(value: unknown, type: string): boolean {
  switch (type) {
    case 'integer_t':
    case 'long_t':
    case 'timestamp_t':
    case 'port_t':
      return Number.isSafeInteger(value);
    case 'boolean_t':
      return typeof value === 'boolean';
    case 'ip_t':
      return typeof value === 'string' && isIP(value) !== 0;
    default:
      return typeof value === 'string' && value !== '';
  }
}
