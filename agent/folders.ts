// The folders of an agent, under its own.

import { join } from 'node:path'

export const places = (dataDir: string) => ({
  images: join(dataDir, 'images'),
  containers: join(dataDir, 'containers'),
  pods: join(dataDir, 'pods'),
  /** Volumes that pods share. */
  volumes: join(dataDir, 'volumes'),
  /** Volumes of this node's disk, used or not. */
  local: join(dataDir, 'local'),
  logs: join(dataDir, 'logs'),
  /** What it needs to know to run its pods before it has reached anybody. */
  record: join(dataDir, 'record'),
  /** Profiles that pods name; an administrator's to fill. */
  seccomp: join(dataDir, 'seccomp'),
})

/** What is made of images and for pods, whose modes are theirs to say, and what other programs keep there: paths below the agent's folder. */
export const isForeign = (path: string): boolean => foreign.some((pattern) => pattern.test(path))

const foreign = [
  /^images\/(layers|staging)\/[^/]+\//,
  /^containers\/by-id\/[^/]+\/(rootfs|upper|work)$/,
  /^containers\/runtime\/./,
  /^pods\/[^/]+\/./,
  /^volumes\/[^/]+\/[^/]+\/volume\/./,
  // Pinned namespaces, which have no modes to change.
  /^(netns|cni)\/.*\/(net|ipc|uts|mnt)$/,
]
