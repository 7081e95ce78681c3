// `json:` names as others write them into headers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonFilename } from './json-filename.ts';
import type { Location } from './location.ts';
import { UnknownImageName } from './uri.ts';

const file = (path: string): Location => ({ kind: 'file', path });

describe('json: names written by others', () => {
  test.each<[string, Location, string | undefined]>([
    ['json:{"driver":"qcow2","file":{"driver":"file","filename":"/x"}}', file('/x'), 'qcow2'],
    ['json:{"driver":"qcow2","file.driver":"file","file.filename":"/x"}', file('/x'), 'qcow2'],
    ['json:{"file":{"driver":"file","filename":"/x"}}', file('/x'), undefined],
    ['json:{"file.filename":"/x"}', file('/x'), undefined],
    ['json:{"driver":"file","filename":"/x"}', file('/x'), undefined],
    ['json:{"driver":"host_device","filename":"/dev/x"}', { kind: 'block', path: '/dev/x' }, undefined],
    [
      'json:{"driver":"raw","file":{"driver":"nbd","server":{"type":"unix","path":"/s"},"export":"e"}}',
      { kind: 'nbd', server: { socket: '/s' }, export: 'e' },
      'raw',
    ],
    [
      'json:{"file.driver":"nbd","file.server.type":"inet","file.server.host":"h","file.server.port":"99"}',
      { kind: 'nbd', server: { host: 'h', port: 99 }, export: '' },
      undefined,
    ],
    [
      'json:{"driver":"nbd","host":"h","port":1}',
      { kind: 'nbd', server: { host: 'h', port: 1 }, export: '' },
      undefined,
    ],
    ['json:{"driver":"nbd","path":"/s"}', { kind: 'nbd', server: { socket: '/s' }, export: '' }, undefined],
    [
      'json:{"driver":"raw","file.driver":"rbd","file.pool":"p","file.image":"i","file.server.0.host":"m","file.server.0.port":"1"}',
      { kind: 'rbd', pool: 'p', image: 'i', monitors: [{ host: 'm', port: 1 }] },
      'raw',
    ],
    [
      'json:{"driver":"raw","file":{"driver":"nbd","server":{"type":"unix","path":"/s"},"tls-creds":"t"}}',
      { kind: 'json', blockdev: { driver: 'nbd', server: { type: 'unix', path: '/s' }, 'tls-creds': 't' } },
      'raw',
    ],
    [
      'json:{"driver":"qcow2","file":{"driver":"https","url":"https://h/x"}}',
      { kind: 'json', blockdev: { driver: 'https', url: 'https://h/x' } },
      'qcow2',
    ],
    [
      'json:{"driver":"file","filename":"relative"}',
      { kind: 'json', blockdev: { driver: 'file', filename: 'relative' } },
      undefined,
    ],
  ])('%s', (name, expected, format) => {
    const parsed = parseJsonFilename(name);
    expect(parsed.location).toEqual(expected);
    expect(parsed.format).toBe(format);
  });

  test.each([
    'json:',
    'json:[]',
    'json:{"driver":"qcow2"}',
    'json:{"driver":"qcow2","file":"node"}',
    'json:{"a":1,"a.b":2}',
  ])('refuses %s', (name) => {
    expect(() => parseJsonFilename(name)).toThrow(UnknownImageName);
  });

  test('any JSON is understood or refused, never a crash', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        try {
          parseJsonFilename(`json:${json}`);
        } catch (error) {
          expect(error).toBeInstanceOf(UnknownImageName);
        }
      }),
    );
  });
});
