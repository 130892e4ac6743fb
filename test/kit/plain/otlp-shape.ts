// Checks a request of OTLP over HTTP in JSON, as strictly as its protocol buffers read it: names in lowerCamelCase, 64-bit numbers as
// decimal texts, words as numbers, one kind of value in each AnyValue, no key twice. An unknown name is a fault here.

type Check = (value: unknown, place: string) => string[];

const fail = (place: string, what: string): string[] => [`${place}: ${what}`];
const text: Check = (value, place) => (typeof value === 'string' ? [] : fail(place, 'is no text'));
const flag: Check = (value, place) => (typeof value === 'boolean' ? [] : fail(place, 'is no flag'));
const double: Check = (value, place) => (typeof value === 'number' ? [] : fail(place, 'is no number'));
const fixed64: Check = (value, place) =>
  typeof value === 'string' && /^(?:0|[1-9]\d{0,19})$/.test(value) && BigInt(value) < 2n ** 64n
    ? []
    : fail(place, 'is no 64-bit number in a text');
const int64: Check = (value, place) =>
  typeof value === 'string' && /^(?:0|-?[1-9]\d{0,18})$/.test(value)
    ? []
    : fail(place, 'is no int64 in a text');
const severity: Check = (value, place) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 24 ? [] : fail(place, 'is no severity');

const list =
  (each: Check): Check =>
  (value, place) =>
    Array.isArray(value)
      ? value.flatMap((item, at) => each(item, `${place}[${at}]`))
      : fail(place, 'is no list');

function message(fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check {
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return fail(place, 'is no message');
    const faults = required
      .filter((name) => !Object.hasOwn(value, name))
      .map((name) => `${place}.${name}: is missing`);
    for (const [name, member] of Object.entries(value)) {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      faults.push(
        ...(check === undefined
          ? fail(`${place}.${name}`, 'no such field')
          : check(member, `${place}.${name}`)),
      );
    }
    return faults;
  };
}

const anyValue: Check = (value, place) => {
  const kinds = { stringValue: text, boolValue: flag, intValue: int64, doubleValue: double };
  const lists = {
    arrayValue: message({ values: list((each, at) => anyValue(each, at)) }),
    kvlistValue: attributesIn,
  };
  const faults = message({ ...kinds, ...lists })(value, place);
  return Object.keys(Object(value)).length === 1 ? faults : [...faults, `${place}: must hold one value`];
};
const keyValue = message({ key: text, value: anyValue }, ['key', 'value']);
const attributes: Check = (value, place) => {
  const keys = Array.isArray(value) ? value.map((each) => Object(each).key) : [];
  return [
    ...list(keyValue)(value, place),
    ...(new Set(keys).size < keys.length ? fail(place, 'a key is there twice') : []),
  ];
};
function attributesIn(value: unknown, place: string): string[] {
  return message({ values: attributes })(value, place);
}

const logRecord = message(
  {
    timeUnixNano: fixed64,
    observedTimeUnixNano: fixed64,
    severityNumber: severity,
    severityText: text,
    eventName: text,
    body: anyValue,
    attributes,
  },
  ['timeUnixNano', 'observedTimeUnixNano', 'body'],
);
const scopeLogs = message({ scope: message({ name: text, version: text }), logRecords: list(logRecord) }, [
  'logRecords',
]);
const resourceLogs = message({ resource: message({ attributes }), scopeLogs: list(scopeLogs) }, [
  'scopeLogs',
]);
const exportRequest = message({ resourceLogs: list(resourceLogs) }, ['resourceLogs']);

/** Faults as `PLACE: what`; empty: it is an ExportLogsServiceRequest. */
export function otlpFaults(request: unknown): string[] {
  return exportRequest(request, 'request');
}
