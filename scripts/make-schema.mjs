// Writes config/dovegate.schema.json and config/record.schema.json, the JSON Schemas of a configuration, for editors, and of a record, for
// programs that read them, from the built program (`npm run build:test` first).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatRecordSchema } from '../build/src/evidence/formats/record-schema.js';
import { formatJsonSchema } from './json-schema.mjs';
import { root } from './setup.mjs';

writeFileSync(join(root, 'config', 'dovegate.schema.json'), formatJsonSchema());
writeFileSync(join(root, 'config', 'record.schema.json'), formatRecordSchema());
