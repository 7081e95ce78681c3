import { defineConfig } from 'vitest/config';
import { LongestFirst } from './scripts/longest-first.ts';

// `unit` needs nothing but Node; `real` starts libvirtd and QEMU (setup.sh installs them).
const conditions = ['blockferry-source', 'node', 'import', 'default'];
const ssr = { resolve: { conditions, externalConditions: conditions } };

export default defineConfig({
  ssr,
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        ssr,
        resolve: { conditions },
        test: {
          name: 'unit',
          include: ['**/src/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.real.test.ts'],
          // Against hangs only: simulations play thousands of histories, on a busy machine too.
          testTimeout: 60_000,
        },
      },
      {
        ssr,
        resolve: { conditions },
        test: {
          name: 'real',
          include: ['**/src/**/*.real.test.ts'],
          globalSetup: ['./scripts/bundle-ferries.ts'],
          // Against hangs only: a busy machine is no failure.
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // Mostly they wait: for the guest to write, for a copy, for somebody to come back.
          maxWorkers: 3,
        },
      },
    ],
  },
});
