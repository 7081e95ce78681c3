// blockferry verify on real images, of domains that run, are off, or are none.
import { join } from 'node:path';
import { type LibvirtHost, loopDevice, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, lastLine, type Where } from '../test/command.ts';
import { stillDomain } from '../test/still-domain.ts';

/** What trips those who put names into lines to be parsed. */
const ODD = 'o"d,d: json:{} %41 ü\'.qcow2';
const MiB = 1024 * 1024;

let host: LibvirtHost;
let where: Where;
/** A path in the images' directory. */
const at = (name: string) => join(host.imagesDir, name);
const disk = (name: string) => ({ target: 'vda', path: at(name), format: 'qcow2' }) as const;

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  await make('base', 'qcow2', '8M', [], 'write -P 1 0 2M');
  await make(ODD, 'qcow2', '8M', ['-b', at('base'), '-F', 'qcow2'], 'write -P 2 1M 2M');
  await make('top', 'qcow2', '8M', ['-b', at(ODD), '-F', 'qcow2'], 'write -P 3 4M 64k');
  await convert(at('top'), 'flat', 'raw');
  await convert(at(ODD), 'flat frozen', 'qcow2');
  await make('of running', 'qcow2', '8M', ['-b', at(ODD), '-F', 'qcow2']);
  await stillDomain(host, 'off', [disk('top')], { running: false });
  await stillDomain(host, 'runs', [disk('of running')]);
});

afterAll(() => host?.stop());

async function make(
  name: string,
  format: string,
  size: string,
  options: string[],
  ...commands: string[]
): Promise<void> {
  await run(['qemu-img', 'create', '-q', '-f', format, ...options, `file:${at(name)}`, size]);
  await write(name, format, ...commands);
}

async function write(name: string, format: string, ...commands: string[]): Promise<void> {
  const image = JSON.stringify({ driver: format, file: { driver: 'file', filename: at(name) } });
  if (commands.length === 0) return;
  await run(['qemu-io', ...commands.flatMap((command) => ['-c', command]), `json:${image}`]);
}

async function convert(from: string, name: string, format: string): Promise<void> {
  await run(['qemu-img', 'convert', '-f', 'qcow2', '-O', format, `file:${from}`, `file:${at(name)}`]);
}

const verify = (...argv: string[]) => inProcess(where, 'verify', ...argv);
const asJson = async (...argv: string[]) => lastLine(await verify(...argv, '--json'));

describe('the same', () => {
  it('in another shape and format, under any name; the formats come from the domain that uses it', async () => {
    const said = await verify('off', 'vda', at('flat'), '--dest-format', 'raw');
    expect(said).toMatchObject({ code: 0, out: expect.stringMatching(/^same\n.*3 images/) });
    expect(await asJson(at('top'), at('flat'), '--dest-format', 'raw')).toMatchObject({
      outcome: 'same',
      exitCode: 0,
      a: { path: at('top'), size: 8 * MiB, images: [{ format: 'qcow2' }, { path: at(ODD) }, {}] },
      b: { path: at('flat'), format: 'raw', images: [{}] },
      difference: null,
      error: null,
    });
  });

  it('where one is longer by zeros, which is said', async () => {
    await convert(at('top'), 'longer', 'qcow2');
    await run(['qemu-img', 'resize', '-q', '-f', 'qcow2', at('longer'), '9M']);
    const said = await verify('off', 'vda', at('longer'), '--dest-format', 'qcow2');
    expect(said).toMatchObject({
      code: 0,
      out: expect.stringContaining('B is longer by 1048576 bytes, all of them zeros'),
    });
    await write('longer', 'qcow2', 'write -P 9 8M 512');
    expect(await asJson('off', 'vda', at('longer'), '--dest-format', 'qcow2')).toMatchObject({
      outcome: 'different',
      exitCode: 1,
      difference: { offset: 8 * MiB, a: { kind: 'end' }, b: { kind: 'image', path: at('longer'), depth: 0 } },
    });
  });

  it('of a domain that runs: what is frozen below its active image', async () => {
    const said = await verify('runs', 'vda', at('flat frozen'), '--dest-format', 'qcow2');
    expect(said).toMatchObject({
      code: 0,
      out: expect.stringContaining(`A  ${at(ODD)} (qcow2, 8.0 MiB, 2 images)`),
    });
  });
});

it('a disk that a running domain can only read is compared as it is', async () => {
  await make('disc', 'raw', '8M', [], 'write -P 1 0 2M');
  const disc = { target: 'vda', path: at('disc'), format: 'raw', extraXml: '<readonly/>' } as const;
  await stillDomain(host, 'reads', [disc]);
  const said = await verify('reads', 'vda', at('disc'), '--dest-format', 'raw');
  expect(said).toMatchObject({ code: 0, out: expect.stringMatching(/^same\n/) });
});

it('different: says from where, and which image of each chain holds it', async () => {
  await convert(at('top'), 'other', 'raw');
  await write('other', 'raw', `write -P 9 ${MiB - 4096} 4k`, 'write -P 9 6M 4k');
  const said = await verify('off', 'vda', at('other'), '--dest-format', 'raw');
  expect(said).toMatchObject({
    code: 1,
    out: expect.stringContaining(
      `byte ${MiB - 4096} on (in steps of 512); there A has ${at('base')}, B has ${at('other')}`,
    ),
  });
  expect(await asJson('off', 'vda', at('other'), '--dest-format', 'raw')).toMatchObject({
    difference: { offset: MiB - 4096, a: { depth: 2 }, b: { depth: 0 } },
    error: { code: 'different' },
  });
  await write('other', 'raw', `write -P 1 ${MiB - 4096} 4k`);
  expect(await asJson('off', 'vda', at('other'), '--dest-format', 'raw')).toMatchObject({
    difference: { offset: 6 * MiB, a: { kind: 'nothing' }, b: { kind: 'image' } },
  });
});

describe('refused, with what helps', () => {
  it.each([
    [
      'an image that a running domain writes to',
      ['of running', 'flat', '--dest-format', 'raw'],
      'image-in-use',
      'runs (vda)',
    ],
    ['a format that nobody declares', ['flat', 'top'], 'format-undeclared', 'no domain uses'],
    ['an image that is not there', ['none', 'top'], 'no-such-image', 'does not exist'],
    [
      'a file that is not of its declared format',
      ['flat', 'top', '--format', 'qcow2'],
      'chain-broken',
      'qcow2',
    ],
  ])('%s', async (_, [a = '', b = '', ...options], code, words) => {
    expect(await asJson(at(a), at(b), ...options)).toMatchObject({
      outcome: 'refused',
      exitCode: 3,
      error: { code, message: expect.stringContaining(words), hint: expect.any(String) },
    });
  });

  it('a device that a running domain writes to, and the file behind it', async () => {
    await run(['truncate', '-s', '8M', at('behind')]);
    await using loop = await loopDevice(host, at('behind'));
    await stillDomain(host, 'on device', [{ target: 'vda', device: loop.device, format: 'raw' }]);
    const inUse = { error: { code: 'image-in-use', message: expect.stringContaining('on device (vda)') } };
    expect(await asJson(loop.device, at('flat'), '--dest-format', 'raw')).toMatchObject(inUse);
    const declared = ['--format', 'raw', '--dest-format', 'raw'];
    expect(await asJson(at('flat'), at('behind'), ...declared)).toMatchObject(inUse);
    await host.virsh('destroy', 'on device');
    expect(await asJson(loop.device, at('behind'), ...declared)).toMatchObject({ outcome: 'same' });
  });

  it('a running domain of one image, which is all active', async () => {
    await make('single', 'qcow2', '8M', []);
    await stillDomain(host, 'single', [disk('single')]);
    expect(await asJson('single', 'vda', at('flat'), '--dest-format', 'raw')).toMatchObject({
      exitCode: 3,
      error: { code: 'nothing-frozen' },
    });
  });

  it('--format for a disk, whose definition has it: wrong usage', async () => {
    expect(await verify('off', 'vda', at('flat'), '--format', 'raw')).toMatchObject({ code: 2 });
  });
});
