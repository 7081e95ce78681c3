// Builds what would be published: JavaScript and declarations of each package in its dist/, without tests.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Lower layers first: each package is built against the built declarations of those below it. */
const packages = ['packages/libvirt', 'packages/qemu', 'packages/engine', 'apps/cli'];

for (const path of packages) {
  console.log(`Building ${path}`);
  rmSync(join(root, path, 'dist'), { recursive: true, force: true });
  compile(path);
  makeProgramsExecutable(path);
}

function compile(path: string): void {
  const directory = join(root, '.cache/build', path);
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'tsconfig.json');
  const from = (target: string) => relative(directory, join(root, target));
  const settings = {
    extends: from('tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      customConditions: [],
      typeRoots: [from('node_modules/@types')],
      rootDir: from(`${path}/src`),
      outDir: from(`${path}/dist`),
    },
    include: [from(`${path}/src`)],
    exclude: [from(`${path}/src/**/*.test.ts`)],
  };
  writeFileSync(config, JSON.stringify(settings, null, 2));
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', config],
    {
      stdio: 'inherit',
    },
  );
  if (status !== 0) {
    console.error(`${path} does not compile`);
    process.exit(1);
  }
}

/** The programs a package's `bin` names start with a line for the shell and may be executed. */
function makeProgramsExecutable(path: string): void {
  const { bin = {} }: { bin?: Record<string, string> } = JSON.parse(
    readFileSync(join(root, path, 'package.json'), 'utf8'),
  );
  for (const target of Object.values(bin)) {
    const file = join(root, path, target);
    if (!existsSync(file)) {
      console.log(`  ${path} has no ${target} yet`);
      continue;
    }
    const text = readFileSync(file, 'utf8');
    if (!text.startsWith('#!')) writeFileSync(file, `#!/usr/bin/env node\n${text}`);
    chmodSync(file, 0o755);
  }
}
