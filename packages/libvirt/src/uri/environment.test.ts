// A client's configuration that is there and cannot be read.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readEnvironment } from './environment.ts';
import { LibvirtConfError } from './libvirt-conf.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it('is named, and why', () => {
  const directory = mkdtempSync(join(tmpdir(), 'libvirt-conf-'));
  const file = join(directory, 'libvirt/libvirt.conf');
  mkdirSync(file, { recursive: true });
  vi.spyOn(process, 'geteuid').mockReturnValue(1000);
  vi.stubEnv('XDG_CONFIG_HOME', directory);
  try {
    expect(readEnvironment).toThrow(LibvirtConfError);
    expect(readEnvironment).toThrow(`${file}: EISDIR`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
