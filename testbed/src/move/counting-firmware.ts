// A firmware of some bytes that counts its starts in its NVRAM, so that a machine writes there as soon as it runs.
import { readFile, writeFile } from 'node:fs/promises';

const SIZE = 65_536;
/** Right below 4 GiB; the NVRAM, which is as long, is right below it. */
const CODE_AT = 0xff00;

/**
 * cli; lgdt [gdt]; into protected mode, DS from 0 to 4 GiB; AL = [0xfffe0000] + 1; the flash's command to write one byte (0x40),
 * AL, the command to show its contents again (0xff); hlt for good. At 0xf0, where the processor begins: jmp there.
 */
const CODE = `fa2e660f011640ff0f20c00c010f22c0b808008ed866bb0000feff678a034067c6034067880367c603fff4ebfd${'00'.repeat(
  11,
)}ffff00000092cf000f0030ffffff${'00'.repeat(170)}e90dff`;

/** Its own file is the template of NVRAMs too: with a count of 0. */
export async function writeCountingFirmware(path: string): Promise<void> {
  const bytes = Buffer.alloc(SIZE);
  Buffer.from(CODE, 'hex').copy(bytes, CODE_AT);
  await writeFile(path, bytes);
}

/** How often the machine with this NVRAM has been started, modulo 256. */
export async function startsCounted(nvram: string): Promise<number> {
  return (await readFile(nvram)).readUInt8(0);
}
