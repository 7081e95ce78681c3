// The options of `image`, as the engine is asked.
import { expect, it } from 'vitest';
import { imageRequest } from './image-request.ts';
import { UsageError } from './usage-error.ts';

const asked = (options: Parameters<typeof imageRequest>[3]) => imageRequest('web', 'vda', '/b/web', options);

it('is one verified image of one disk, guarded, and quiesced if an agent is there', () => {
  expect(asked({})).toEqual({
    domain: 'web',
    disks: [{ disk: 'vda', destination: '/b/web' }],
    scope: 'flatten',
    compressed: false,
    verify: true,
    guard: 2,
    quiesce: 'auto',
  });
});

it('is qcow2 when it is to be compressed, unless another format is asked for, which is refused later', () => {
  expect(asked({ compress: true })).toMatchObject({ compressed: true, format: 'qcow2' });
  expect(asked({ compress: true, format: 'raw' })).toMatchObject({ compressed: true, format: 'raw' });
});

it('takes limits as `move` does', () => {
  expect(asked({ bandwidth: '100M', guard: 'off', verify: 'none', overlayDir: '/o' })).toMatchObject({
    bandwidth: 100n << 20n,
    verify: false,
    overlayDirectory: '/o',
  });
  expect(asked({ bandwidth: '0' })).not.toHaveProperty('bandwidth');
  expect(asked({ guard: 'off' })).not.toHaveProperty('guard');
});

it('knows no other way to quiesce', () => {
  expect(() => asked({ quiesce: 'always' })).toThrow(UsageError);
});
