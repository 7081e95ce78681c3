// Small steps around the crossing: the domain goes on, or ends, on one of the two hosts. Each looks again right before.
import { DomainXml, DomainXmlFlags, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { backingToTell } from '../../storage/chain-refs.ts';
import { StepImpossible } from '../errors.ts';
import { awayOf } from '../observe.ts';
import { chainAt } from '../record.ts';
import type { MigrationScene } from './scene.ts';

/** virDomainResume of what was given away and never ran anywhere else. */
export async function takeBack({ observation }: MigrationScene): Promise<void> {
  await observation.home?.domain.resume();
}

/** virDomainResume of what has come; the record says that it was to. */
export async function runAway({ observation }: MigrationScene): Promise<void> {
  await observation.away?.domain.resume();
}

/** Removes what came, or was coming, and never ran. @throws StepImpossible if it runs by now */
export async function dropAway(scene: MigrationScene): Promise<void> {
  const { away } = scene.observation;
  if (away === undefined) return;
  const now = await awayOf(away);
  if (now === 'running') throw new StepImpossible('drop-away', 'it runs at the destination by now');
  if (now !== 'off') await away.domain.destroy();
  try {
    if (await away.domain.isPersistent()) await away.domain.undefine(KEEP_FILES);
  } catch (error) {
    // What came was transient, and went when it was destroyed.
    if (!isLibvirtError(error, ErrorCode.NO_DOMAIN)) throw error;
  }
}

/** The domain stands still at home and runs at the destination: it ends here. Not cleanly, for it is not its end. */
export async function leaveHome({ observation }: MigrationScene): Promise<void> {
  await observation.home?.domain.destroy();
}

/**
 * Autostart comes along first. Variable stores of firmware stay, as the images do; the state of a TPM goes with the
 * definition (unless that says `persistent_state`), for libvirt asks to keep it only since 8.9, and it is where the domain is.
 *
 * @throws StepImpossible if it runs at home by now
 */
export async function undefineHome({ observation, record }: MigrationScene): Promise<void> {
  const { home, away } = observation;
  if (record.autostart) await away?.domain.setAutostart(true);
  if (home === undefined) return;
  if (await home.domain.isActive()) throw new StepImpossible('undefine-home', 'it was started at home');
  await home.domain.undefine(KEEP_FILES);
}

/** VIR_DOMAIN_UNDEFINE_KEEP_NVRAM */
const KEEP_NVRAM = 8;
const KEEP_FILES = KEEP_NVRAM;

/** A domain that is off: its definition, with its disks on the copies. The record goes along in its metadata. */
export async function defineAway({ pair, observation, record }: MigrationScene): Promise<void> {
  const { home } = observation;
  if (home === undefined) throw new StepImpossible('define-away', 'the domain is gone');
  const { SECURE, INACTIVE, MIGRATABLE } = DomainXmlFlags;
  const definition = DomainXml.parse(await home.domain.getXmlDesc(SECURE | INACTIVE | MIGRATABLE));
  for (const disk of record.disks) {
    const [top, ...below] = chainAt(disk, 'away');
    definition.setDiskSource(disk.target, top.source, top.format, backingToTell(below));
  }
  await (await pair.away.link.connection()).defineDomainXml(definition.toString());
}
