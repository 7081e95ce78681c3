// Arbitrary locations for property tests.
import fc from 'fast-check';
import type { Location } from '../image/location.ts';

/** A name of one file: anything but '/' and NUL, and what QEMU or a shell may trip over more often. */
export const fileName = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 24 }),
    fc
      .array(
        fc.constantFrom(
          ':',
          ',',
          '=',
          ' ',
          '"',
          "'",
          '\\',
          '\n',
          '\t',
          '%',
          '#',
          '?',
          '@',
          '{',
          '}',
          'ü',
          '日',
          '😀',
          '-',
          'a',
          '.',
          '~',
          '$',
        ),
        { minLength: 1, maxLength: 12 },
      )
      .map((parts) => parts.join('')),
    fc.constantFrom(
      'json:{"driver":"raw"}',
      'json:x',
      'nbd:unix:/x',
      'nbd://h/x',
      'file:x',
      '-',
      '--help',
      'a,b=c',
      'rbd:p/i',
      'fat:.',
    ),
  )
  .filter((name) => !/[/\0]/.test(name) && !['.', '..'].includes(name) && Buffer.byteLength(name) <= 200);

const path = fc.array(fileName, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((each) => !each.includes('\0'));
const port = fc.integer({ min: 1, max: 65535 });
const hostName = fc.constantFrom('localhost', '127.0.0.1', '::1', 'nbd.example.org');
const optional = <T>(key: string, value: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.constant({}),
    value.map((each) => ({ [key]: each })),
  );

const nbd = fc
  .tuple(
    fc.oneof(
      fc.record({ host: hostName, port }),
      path.map((socket) => ({ socket })),
    ),
    fc.oneof(fc.constant(''), text),
  )
  .map(([server, name]): Location => ({ kind: 'nbd', server, export: name }));

const rbd = fc
  .tuple(
    fc.record({ pool: text, image: text }),
    optional('namespace', text),
    optional('snapshot', text),
    optional('user', text),
    optional('conf', path),
    optional('monitors', fc.array(fc.record({ host: hostName, port }), { minLength: 1, maxLength: 2 })),
  )
  .map(
    (parts): Location => Object.assign({ kind: 'rbd' as const, pool: '', image: '' }, ...parts) as Location,
  );

/** Everything that has a name which is not a path. */
export const networkLocation = fc.oneof(nbd, rbd);

/** Any place but `json`. */
export const location: fc.Arbitrary<Location> = fc.oneof(
  path.map((each): Location => ({ kind: 'file', path: each })),
  path.map((each): Location => ({ kind: 'block', path: each })),
  nbd,
  rbd,
);
