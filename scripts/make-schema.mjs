// Writes config/dovegate.schema.json, the JSON Schema for editors, from the built program (`npm run build:test` first).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatJsonSchema } from '../build/src/domain/config/schema.js';
import { root } from './setup.mjs';

writeFileSync(join(root, 'config', 'dovegate.schema.json'), formatJsonSchema());
