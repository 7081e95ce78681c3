// The completion for bash, asked as bash asks it. Domains and disks, which need a libvirtd, are not.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { VERB_NAMES } from './verbs/verbs.ts';

const script = fileURLToPath(new URL('../completion/blockferry.bash', import.meta.url));
const program = fileURLToPath(new URL('../../../bin/blockferry', import.meta.url));

async function completed(line: string): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's
  const asked = '. "$1"; COMP_LINE=$2; COMP_POINT=${#2}; _blockferry; printf "%s\\n" "${COMPREPLY[@]}"';
  const argv = ['-c', asked, 'bash', script, `${program} ${line}`];
  const { stdout } = await promisify(execFile)('bash', argv);
  return stdout.split('\n').filter((word) => word !== '');
}

it('knows every verb', async () => {
  expect(await completed('')).toEqual(expect.arrayContaining([...VERB_NAMES]));
  expect(await completed('-c qemu+ssh://root@host/system mig')).toEqual(['migrate']);
});

it('knows the options of a verb as its help tells them', async () => {
  expect(await completed('move web vda /srv/ --ver')).toEqual(['--verify']);
  expect(await completed('cleanup --y')).toEqual(['--yes']);
});
