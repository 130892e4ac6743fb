// Checks lines of a journal against the published schema, by a validator of JSON Schema.

import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { projectRoot } from './root.js';

const path = new URL('config/record.schema.json', projectRoot);
let known: ValidateFunction | undefined;

/** What is wrong with a line, as `PLACE what`; empty: it is a record. */
export function recordFaults(line: string): string[] {
  known ??= new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(
    JSON.parse(readFileSync(path, 'utf8')),
  );
  const validate = known;
  if (validate(JSON.parse(line))) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${instancePath} ${message} ${JSON.stringify(params)}: ${line.slice(0, 200)}`,
  );
}
