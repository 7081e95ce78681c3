// blockferry chain over everything, on real images of domains that run, are off, or are none.
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inProcess, jsonLines, lastLine, type Where } from '../test/command.ts';
import { hostState } from '../test/host-state.ts';
import { stillDomain } from '../test/still-domain.ts';

/** What trips those who put names into lines, or into the DOT language. */
const ODD = 'o"d,d: <&amp;> \\N ü\'.qcow2';

let host: LibvirtHost;
let where: Where;
const at = (name: string) => join(host.imagesDir, name);
const disk = (name: string, format: 'qcow2' | 'raw' = 'qcow2') => ({ target: 'vda', path: at(name), format });

async function make(
  name: string,
  base?: string,
  reference = base === undefined ? '' : at(base),
): Promise<void> {
  const backing = base === undefined ? [] : ['-u', '-b', reference, '-F', 'qcow2'];
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, `file:${at(name)}`, '8M']);
}

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  await make('base');
  await make('snap', 'base', 'base');
  await make('top', 'snap');
  await make(ODD, 'base');
  await make('lost', 'snap');
  await make('cut', 'gone');
  await stillDomain(host, 'web', [disk('top')]);
  await stillDomain(host, 'clone', [disk(ODD)], { running: false });
  await stillDomain(host, 'broken', [disk('cut')], { running: false });
  // The guest's own bytes, which begin as an image of another kind does.
  await make('looks like qcow2', 'top');
  await symlink('looks like qcow2', at('link'));
  await stillDomain(host, 'raw', [disk('link', 'raw')], { running: false });
  await writeFile(at('notes.txt'), 'QFI and no image');
  await snapshotThatIsLeft();
});

afterAll(() => host?.stop());

/** Only libvirt's snapshot names image `s1` now. */
async function snapshotThatIsLeft(): Promise<void> {
  await make('s0');
  await stillDomain(host, 'snapped', [disk('s0')], { running: false });
  const spec = `vda,file=${at('s1')}`;
  await host.virsh('snapshot-create-as', 'snapped', 'one', '--disk-only', '--diskspec', spec);
  await make('s2');
  const xml = (await host.virsh('dumpxml', 'snapped')).replaceAll(at('s1'), at('s2'));
  const file = join(host.directory, 'guest', 'snapped.xml');
  await writeFile(file, xml);
  await host.virsh('define', file);
}

type ImageLine = { path: string; base: string | null; standing: { kind: string }; users: unknown[] };

it('every image is there once, with its base, who uses it, and what is wrong with it', async () => {
  const before = await hostState(host, [host.imagesDir]);
  const said = await inProcess(where, 'chain', '--json');
  const lines = jsonLines(said).filter(({ type }) => type === 'image') as (ImageLine & object)[];
  const byName = Object.fromEntries(lines.map((line) => [basename(line.path), line]));
  const kinds = Object.fromEntries(lines.map(({ path, standing }) => [basename(path), standing.kind]));
  expect(kinds).toEqual({
    ...{ base: 'used', snap: 'used', top: 'used', [ODD]: 'used', cut: 'used', link: 'used', s2: 'used' },
    ...{ lost: 'orphan', s0: 'referred', s1: 'referred' },
  });
  expect(byName).toMatchObject({
    base: { base: null, users: [], virtualSize: 8 * 1024 * 1024, format: 'qcow2' },
    snap: { base: at('base'), backing: { relative: true, reference: 'base', broken: null } },
    top: { base: at('snap'), users: [{ domain: 'web', disk: 'vda', running: true }] },
    [ODD]: { base: at('base'), users: [{ domain: 'clone', running: false, definitions: ['persistent'] }] },
    cut: { base: null, backing: { base: at('gone'), broken: 'it does not exist' } },
    link: { format: 'raw', base: null, alsoDeclared: [], users: [{ domain: 'raw' }] },
    s1: { base: at('s0'), standing: { by: 'snapshot one of snapped' } },
  });
  expect(lastLine(said)).toMatchObject({ type: 'result', outcome: 'done', exitCode: 0 });
  expect(await hostState(host, [host.imagesDir])).toBe(before);
});

it('for people, each image stands below its base', async () => {
  const { out } = await inProcess(where, 'chain');
  const table = out.split('\n');
  const from = table.findIndex((line) => line.startsWith(`${at('base')} `));
  expect(table.slice(from, from + 5).map((line) => line.replace(/ {2,}/g, '  '))).toEqual([
    expect.stringMatching(/\/base {2}qcow2 {2}8\.0 MiB {2}\d/),
    expect.stringMatching(/^├─ \/.*clone vda \(off\)$/),
    expect.stringMatching(/^└─ \/.*\/snap .* relative link base$/),
    expect.stringMatching(/^ {2}├─ \/.*\/lost .* orphan$/),
    expect.stringMatching(/^ {2}└─ \/.*\/top .* web vda$/),
  ]);
  expect(out).toContain('broken link to');
  expect(out).toContain(`images of no domain were looked for in ${host.imagesDir}`);
});

it('as before for one domain; and the trees that it has a part in, as a digraph', async () => {
  expect(await inProcess(where, 'chain', 'web', 'vda')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^web vda\n/),
  });
  const { out } = await inProcess(where, 'chain', 'web', '--dot');
  expect(out).toMatch(/^digraph blockferry \{\n/);
  expect(out).toContain('label="clone vda (off)"');
  expect(out).not.toContain(at('cut'));
});

it('drawn: with every name as it is, never over what is no drawing', async () => {
  const file = join(host.directory, 'images.svg');
  for (const _ of ['first', 'again']) {
    expect(await inProcess(where, 'chain', '--svg', file)).toMatchObject({ code: 0, out: '', err: '' });
  }
  const svg = await readFile(file, 'utf8');
  expect(svg).toMatch(/^<\?xml[\s\S]*<svg /);
  expect(svg).toContain('o&quot;d,d: &lt;&amp;amp;&gt; \\N ü&#39;.qcow2');
  expect(await inProcess(where, 'chain', '--svg', at('top'))).toMatchObject({
    code: 3,
    err: expect.stringContaining('is no SVG'),
  });
});

it('looks where it is told, and says where it could not', async () => {
  const elsewhere = join(host.directory, 'else where');
  await run(['mkdir', '-p', join(elsewhere, 'deep')]);
  await run(['qemu-img', 'create', '-q', '-f', 'vmdk', join(elsewhere, 'deep', 'old.vmdk'), '1M']);
  const none = join(host.directory, 'none');
  const { out } = await inProcess(where, 'chain', '--directory', elsewhere, '--directory', none);
  expect(out).toMatch(/else where\/deep\/old\.vmdk .*vmdk .* orphan\n/);
  expect(out).toContain(`${none} was not looked through`);
});

it.each([
  ['a domain and all of them', ['web', '--all']],
  ['a disk and a drawing', ['web', 'vda', '--dot']],
  ['two forms at once', ['--dot', '--json']],
])('is wrong usage: %s', async (_, argv) => {
  expect(await inProcess(where, 'chain', ...argv)).toMatchObject({ code: 2 });
});
