import { defineConfig } from 'vitest/config';

// `unit` needs nothing but Node; `real` and `long` start libvirtd and QEMU (setup.sh installs them).
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
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        ssr,
        resolve: { conditions },
        // Run by hand: vitest run --project long. Minutes a scenario, too long for every check.
        test: { name: 'long', include: ['**/src/**/*.long.test.ts'], hookTimeout: 120_000, maxWorkers: 1 },
      },
    ],
  },
});
