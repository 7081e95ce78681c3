// Procedures of snapshots, checkpoints and backup jobs.

import { procedure } from '../rpc/procedure.ts';
import { array, int32, intBool, optional, string, uint32 } from '../xdr/schema.ts';
import { checkpointRef, domainRef, MAX_SNAPSHOTS, nothing, snapshotRef } from './types.ts';

const long = { pace: 'long' } as const;
/** Looks at what libvirt has recorded, without the job lock. */
const noJob = { takesJob: false } as const;
/** A snapshot with memory takes as long as the memory takes to write. */
const unbounded = { pace: 'long', hasDeadline: false } as const;
const dom = domainRef;
const flags = uint32();

export const snapshot = {
  createXml: procedure(
    'DOMAIN_SNAPSHOT_CREATE_XML',
    185,
    { dom, xml: string(), flags },
    { snapshot: snapshotRef },
    unbounded,
  ),
  xml: procedure(
    'DOMAIN_SNAPSHOT_GET_XML_DESC',
    186,
    { snapshot: snapshotRef, flags },
    { xml: string() },
    noJob,
  ),
  listAll: procedure(
    'DOMAIN_LIST_ALL_SNAPSHOTS',
    274,
    { dom, needResults: int32(), flags },
    { snapshots: array(snapshotRef, MAX_SNAPSHOTS), count: int32() },
    noJob,
  ),
  listAllChildren: procedure(
    'DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN',
    275,
    { snapshot: snapshotRef, needResults: int32(), flags },
    { snapshots: array(snapshotRef, MAX_SNAPSHOTS), count: int32() },
    noJob,
  ),
  lookupByName: procedure(
    'DOMAIN_SNAPSHOT_LOOKUP_BY_NAME',
    189,
    { dom, name: string(), flags },
    { snapshot: snapshotRef },
    noJob,
  ),
  hasCurrent: procedure('DOMAIN_HAS_CURRENT_SNAPSHOT', 190, { dom, flags }, { result: intBool() }, noJob),
  current: procedure('DOMAIN_SNAPSHOT_CURRENT', 191, { dom, flags }, { snapshot: snapshotRef }, noJob),
  parent: procedure(
    'DOMAIN_SNAPSHOT_GET_PARENT',
    244,
    { snapshot: snapshotRef, flags },
    { snapshot: snapshotRef },
    noJob,
  ),
  revert: procedure('DOMAIN_REVERT_TO_SNAPSHOT', 192, { snapshot: snapshotRef, flags }, nothing, unbounded),
  delete: procedure('DOMAIN_SNAPSHOT_DELETE', 193, { snapshot: snapshotRef, flags }, nothing, unbounded),
};

export const checkpoint = {
  createXml: procedure(
    'DOMAIN_CHECKPOINT_CREATE_XML',
    411,
    { dom, xml: string(), flags },
    { checkpoint: checkpointRef },
    long,
  ),
  xml: procedure(
    'DOMAIN_CHECKPOINT_GET_XML_DESC',
    412,
    { checkpoint: checkpointRef, flags },
    { xml: string() },
  ),
  listAll: procedure(
    'DOMAIN_LIST_ALL_CHECKPOINTS',
    413,
    { dom, needResults: int32(), flags },
    { checkpoints: array(checkpointRef, MAX_SNAPSHOTS), count: int32() },
    noJob,
  ),
  lookupByName: procedure(
    'DOMAIN_CHECKPOINT_LOOKUP_BY_NAME',
    415,
    { dom, name: string(), flags },
    { checkpoint: checkpointRef },
    noJob,
  ),
  parent: procedure(
    'DOMAIN_CHECKPOINT_GET_PARENT',
    416,
    { checkpoint: checkpointRef, flags },
    { checkpoint: checkpointRef },
    noJob,
  ),
  delete: procedure('DOMAIN_CHECKPOINT_DELETE', 417, { checkpoint: checkpointRef, flags }, nothing, long),
};

export const backup = {
  begin: procedure(
    'DOMAIN_BACKUP_BEGIN',
    421,
    { dom, backupXml: string(), checkpointXml: optional(string()), flags },
    nothing,
    long,
  ),
  xml: procedure('DOMAIN_BACKUP_GET_XML_DESC', 422, { dom, flags }, { xml: string() }, noJob),
};
