// Procedures of storage pools and volumes.

import { procedure } from '../rpc/procedure.ts';
import { array, int32, intBool, string, uhyper, uint32 } from '../xdr/schema.ts';
import { unsignedChar, uuid } from '../xdr/special.ts';
import { MAX_POOLS, MAX_VOLUMES, nothing, poolRef, volumeRef } from './types.ts';

const instant = { pace: 'instant' } as const;
const long = { pace: 'long' } as const;
/** Writes or clears whole volumes: as long as the storage needs. */
const unbounded = { pace: 'long', hasDeadline: false } as const;
const flags = uint32();
const pool = poolRef;
const volume = volumeRef;
const volumeInfo = { type: int32(), capacity: uhyper(), allocation: uhyper() };

export const pools = {
  listAll: procedure(
    'CONNECT_LIST_ALL_STORAGE_POOLS',
    281,
    { needResults: int32(), flags },
    { pools: array(poolRef, MAX_POOLS), count: uint32() },
    instant,
  ),
  createXml: procedure('STORAGE_POOL_CREATE_XML', 76, { xml: string(), flags }, { pool }, long),
  defineXml: procedure('STORAGE_POOL_DEFINE_XML', 77, { xml: string(), flags }, { pool }),
  create: procedure('STORAGE_POOL_CREATE', 78, { pool, flags }, nothing, long),
  build: procedure('STORAGE_POOL_BUILD', 79, { pool, flags }, nothing, unbounded),
  destroy: procedure('STORAGE_POOL_DESTROY', 80, { pool }, nothing, long),
  undefine: procedure('STORAGE_POOL_UNDEFINE', 82, { pool }, nothing),
  refresh: procedure('STORAGE_POOL_REFRESH', 83, { pool, flags }, nothing, long),
  byName: procedure('STORAGE_POOL_LOOKUP_BY_NAME', 84, { name: string() }, { pool }, instant),
  byUuid: procedure('STORAGE_POOL_LOOKUP_BY_UUID', 85, { uuid: uuid() }, { pool }, instant),
  byVolume: procedure('STORAGE_POOL_LOOKUP_BY_VOLUME', 86, { volume }, { pool }, instant),
  byTargetPath: procedure('STORAGE_POOL_LOOKUP_BY_TARGET_PATH', 391, { path: string() }, { pool }, instant),
  info: procedure(
    'STORAGE_POOL_GET_INFO',
    87,
    { pool },
    { state: unsignedChar(), capacity: uhyper(), allocation: uhyper(), available: uhyper() },
  ),
  xml: procedure('STORAGE_POOL_GET_XML_DESC', 88, { pool, flags }, { xml: string() }),
  isActive: procedure('STORAGE_POOL_IS_ACTIVE', 154, { pool }, { active: intBool() }),
  isPersistent: procedure('STORAGE_POOL_IS_PERSISTENT', 155, { pool }, { persistent: intBool() }),
  listAllVolumes: procedure(
    'STORAGE_POOL_LIST_ALL_VOLUMES',
    282,
    { pool, needResults: int32(), flags },
    { volumes: array(volumeRef, MAX_VOLUMES), count: uint32() },
  ),
};

export const volumes = {
  byName: procedure('STORAGE_VOL_LOOKUP_BY_NAME', 95, { pool, name: string() }, { volume }),
  byKey: procedure('STORAGE_VOL_LOOKUP_BY_KEY', 96, { key: string() }, { volume }),
  byPath: procedure('STORAGE_VOL_LOOKUP_BY_PATH', 97, { path: string() }, { volume }),
  createXml: procedure('STORAGE_VOL_CREATE_XML', 93, { pool, xml: string(), flags }, { volume }, unbounded),
  delete: procedure('STORAGE_VOL_DELETE', 94, { volume, flags }, nothing, unbounded),
  info: procedure('STORAGE_VOL_GET_INFO', 98, { volume }, volumeInfo),
  infoFlags: procedure('STORAGE_VOL_GET_INFO_FLAGS', 378, { volume, flags }, volumeInfo),
  xml: procedure('STORAGE_VOL_GET_XML_DESC', 99, { volume, flags }, { xml: string() }),
  path: procedure('STORAGE_VOL_GET_PATH', 100, { volume }, { path: string() }),
  resize: procedure('STORAGE_VOL_RESIZE', 260, { volume, capacity: uhyper(), flags }, nothing, unbounded),
  // Both open a stream; `length` 0 means all.
  upload: procedure(
    'STORAGE_VOL_UPLOAD',
    208,
    { volume, offset: uhyper(), length: uhyper(), flags },
    nothing,
  ),
  download: procedure(
    'STORAGE_VOL_DOWNLOAD',
    209,
    { volume, offset: uhyper(), length: uhyper(), flags },
    nothing,
  ),
};
