// Lines and events that come in pieces: the same at every cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventDecoder, createLineDecoder } from '../../src/web/lines.js';

void test('lines are whole wherever the text was cut', () => {
  const text = '{"a":1}\r\n\n{"b":"ü"}\nrest';
  for (let at = 0; at <= text.length; at += 1) {
    const decoder = createLineDecoder();
    const lines = [...decoder.push(text.slice(0, at)), ...decoder.push(text.slice(at))];
    assert.deepEqual(lines, ['{"a":1}', '', '{"b":"ü"}']);
    assert.equal(decoder.rest(), 'rest');
  }
});

void test('events are whole wherever the text was cut; one that is not ended is none', () => {
  const text = ': hello\n\nevent: snapshot\ndata: {"a":\ndata: 1}\n\ndata:x\n\nevent: change\ndata: cut';
  for (let at = 0; at <= text.length; at += 1) {
    const decoder = createEventDecoder();
    assert.deepEqual(
      [...decoder.push(text.slice(0, at)), ...decoder.push(text.slice(at))],
      [
        { name: 'snapshot', data: '{"a":\n1}' },
        { name: 'message', data: 'x' },
      ],
    );
  }
});
