import { defineConfig } from 'vitest/config';

// `unit` needs nothing but Node; `real` starts libvirtd and QEMU (setup.sh installs them).
const conditions = ['blockferry-source', 'node', 'import', 'default'];
const ssr = { resolve: { conditions, externalConditions: conditions } };

export default defineConfig({
  ssr,
  test: {
    projects: [
      {
        ssr,
        resolve: { conditions },
        test: {
          name: 'unit',
          include: ['**/src/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.real.test.ts', '**/*.long.test.ts'],
        },
      },
      {
        ssr,
        resolve: { conditions },
        test: {
          name: 'real',
          include: ['**/src/**/*.real.test.ts'],
          // Against hangs only: a busy machine is no failure.
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // Mostly they wait: for the guest to write, for a copy, for somebody to come back.
          maxWorkers: 3,
        },
      },
      {
        ssr,
        resolve: { conditions },
        test: {
          name: 'long',
          // By hand, on a machine that is doing nothing else: these meet a moment by racing for it, and storage that is
          // fast enough outruns them. They are not part of `npm test` until they halt what they mean to meet.
          include: ['**/src/**/*.long.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
