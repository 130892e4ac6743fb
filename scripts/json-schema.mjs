// The JSON Schema of the configuration, for editors and for the page of all settings, from the built program (`npm run build:test` first).

import * as z from 'zod';
import { configurationSchema } from '../build/src/rules/config/schema.js';

/** The shape of a configuration as JSON Schema, with defaults as they would be written; for docs/settings.md. */
export function describedSchema() {
  return z.toJSONSchema(configurationSchema, { io: 'input', target: 'draft-7', reused: 'inline' });
}

/** The JSON Schema of a configuration, for editors; the text of config/dovegate.schema.json. */
export function formatJsonSchema() {
  const schema = JSON.parse(JSON.stringify(describedSchema()), forEditors);
  return `${JSON.stringify({ ...schema, title: 'dovegate configuration' }, null, 2)}\n`;
}

/** A default in the file of an editor would be written into configurations, and stay there when it changes. */
function forEditors(_key, value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { default: _, restart: _restart, description, form, ...rest } = value;
  const lines = [description, form].filter((each) => each !== undefined);
  return lines.length === 0 ? rest : { ...rest, description: lines.join('; ') };
}
